"""Settings: every mistake is told at once, by name, and nothing secret is ever told."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from infra.netbox import MOST_SEEN
from infra.settings import Settings, SettingsError
from infra.variables import VARIABLES

V1 = "0123456789abcdef0123456789abcdef01234567"
V2 = "nbt_AbCdEf012345.AbCdEf0123456789AbCdEf0123456789AbCdEf01"
LEAST = {"NETBOX_URL": "https://netbox.example.org/", "NETBOX_TOKEN": V2}


def problems(**environ: str) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as caught:
        Settings.from_env({**LEAST, **environ})
    return caught.value.problems


def test_an_address_and_a_token_are_enough() -> None:
    settings = Settings.from_env(LEAST)
    assert settings.netbox_url == "https://netbox.example.org"
    assert settings.netbox_token is not None
    assert settings.netbox_token.reveal() == V2
    assert (settings.deadline_s, settings.reserve_s, settings.batch, settings.parallel) == (30.0, 3.0, 100, 4)
    assert (settings.secret_prefix, settings.log_level, settings.log_format) == ("fabric-", "INFO", "json")


def test_the_table_fills_every_field_and_no_other() -> None:
    assert {each.field for each in VARIABLES} == {each.name for each in dataclasses.fields(Settings)}
    assert len({each.name for each in VARIABLES}) == len(VARIABLES)


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Settings.from_env(LEAST).batch = 5  # type: ignore[misc]


def test_all_problems_are_told_at_once_each_with_its_variable() -> None:
    told = problems(
        NETBOX_URL="ftp://netbox",
        NETBOX_TOKEN="nonsense",
        NETBOX_CA_FILE="/nowhere/ca.pem",
        FABRIC_SYNC_SECRETS="/nowhere",
        FABRIC_SYNC_DEADLINE_S="2",
        FABRIC_SYNC_BATCH="many",
        FABRIC_SYNC_LOG_LEVEL="LOUD",
    )
    names = ["NETBOX_URL", "NETBOX_TOKEN", "NETBOX_CA_FILE", "FABRIC_SYNC_SECRETS", "FABRIC_SYNC_DEADLINE_S"]
    names += ["FABRIC_SYNC_BATCH", "FABRIC_SYNC_LOG_LEVEL"]
    assert [line.split()[0] for line in told] == names
    assert all(": " in line for line in told), "each says what to do"


def test_nothing_set_names_the_address_and_the_token() -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.from_env({"NETBOX_URL": "", "NETBOX_TOKEN": "  "})
    assert [line.split()[0] for line in caught.value.problems] == ["NETBOX_URL", "NETBOX_TOKEN"]


@pytest.mark.parametrize("token", [V1, V2])
def test_both_kinds_of_netbox_token_are_taken(token: str) -> None:
    assert Settings.from_env({**LEAST, "NETBOX_TOKEN": token + "\n"}).netbox_token is not None


@pytest.mark.parametrize("token", ["abc", V1[:-1], V2.replace(".", ""), f"Bearer {V2}", V2 + " x", "nbt_x.y"])
def test_another_token_is_refused_and_not_quoted(token: str) -> None:
    (told,) = problems(NETBOX_TOKEN=token)
    assert told.startswith("NETBOX_TOKEN is not a NetBox token")
    assert token not in told


def test_a_token_and_the_name_of_one_are_one_too_many(tmp_path: Path) -> None:
    (told,) = problems(NETBOX_TOKEN_SECRET="netbox-token", FABRIC_SYNC_SECRETS=str(tmp_path))
    assert "both set" in told


def test_the_name_of_a_token_needs_a_place_to_read_it_from() -> None:
    (told,) = problems(NETBOX_TOKEN="", NETBOX_TOKEN_SECRET="netbox-token")
    assert "FABRIC_SYNC_SECRETS" in told


@pytest.mark.parametrize("token", [V1, V2])
def test_a_token_put_where_its_name_belongs_is_not_quoted(token: str, tmp_path: Path) -> None:
    (told,) = problems(NETBOX_TOKEN="", NETBOX_TOKEN_SECRET=token, FABRIC_SYNC_SECRETS=str(tmp_path))
    assert token not in told


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8000", "http://localhost:8000/", "http://[::1]:8000", "https://netbox.example.org/netbox"]
)
def test_https_and_plain_http_on_this_machine_are_taken(url: str) -> None:
    assert Settings.from_env({**LEAST, "NETBOX_URL": url}).netbox_url == url.rstrip("/")


@pytest.mark.parametrize("url", ["http://netbox.example.org", "http://10.0.0.1", "http://127.0.0.1.example.org"])
@pytest.mark.parametrize("variable", ["NETBOX_URL", "FABRIC_SYNC_BROKER_URL"])
def test_plain_http_to_another_machine_needs_to_be_allowed(url: str, variable: str) -> None:
    (told,) = problems(**{variable: url})
    assert variable in told
    assert "FABRIC_SYNC_ALLOW_HTTP=1" in told
    assert Settings.from_env({**LEAST, variable: url, "FABRIC_SYNC_ALLOW_HTTP": "1"})


@pytest.mark.parametrize(
    "url",
    [
        "netbox.example.org",
        "https://",
        "https://h:99999",
        "https://h/?q=1",
        "https://h/#x",
        "https://h/api",
        "https://a b",
    ],
)
def test_an_address_that_cannot_be_one_is_refused(url: str) -> None:
    (told,) = problems(NETBOX_URL=url)
    assert told.startswith("NETBOX_URL")


@pytest.mark.parametrize("url", ["https://anna:correct-horse@netbox", "https://correct-horse@netbox"])
def test_a_password_in_an_address_is_refused_and_not_quoted(url: str) -> None:
    (told,) = problems(NETBOX_URL=url)
    assert "correct-horse" not in told


@pytest.mark.parametrize("name", ["NETBOX_VERIFY", "NETBOX_SSL_VERIFY", "NETBOX_INSECURE"])
def test_there_is_no_switch_that_turns_verification_off(name: str) -> None:
    (told,) = problems(**{name: "0"})
    assert "cannot be turned off" in told


def test_a_misspelt_setting_is_not_ignored_in_silence() -> None:
    assert problems(FABRIC_SYNC_DEADLINE="60") == (
        "FABRIC_SYNC_DEADLINE is not a setting: did you mean FABRIC_SYNC_DEADLINE_S?",
    )


def test_a_name_of_somebody_else_is_left_alone() -> None:
    assert Settings.from_env({**LEAST, "FABRIC_SYNC_SHARED": "/x", "PATH": "/bin", "HOME": "/"})


@pytest.mark.parametrize(("deadline", "reserve"), [("5", "2.5"), ("30", "15"), ("30", "29"), ("30", "0"), ("nan", "3")])
def test_a_reserve_that_leaves_no_time_for_work_is_refused(deadline: str, reserve: str) -> None:
    (told,) = problems(FABRIC_SYNC_DEADLINE_S=deadline, FABRIC_SYNC_RESERVE_S=reserve)
    assert told.startswith(("FABRIC_SYNC_RESERVE_S", "FABRIC_SYNC_DEADLINE_S"))


@pytest.mark.parametrize(("name", "text"), [("FABRIC_SYNC_DEADLINE_S", "5"), ("FABRIC_SYNC_DEADLINE_S", "540")])
def test_the_bounds_of_the_deadline_belong_to_it(name: str, text: str) -> None:
    environ = {**LEAST, name: text, "FABRIC_SYNC_RESERVE_S": "1"}
    assert Settings.from_env(environ).deadline_s == float(text)


@pytest.mark.parametrize("batch", ["0", "-1", str(MOST_SEEN + 1), "1.5"])
def test_a_batch_is_a_whole_number_and_no_larger_than_netbox_can_be_held_to(batch: str) -> None:
    assert problems(FABRIC_SYNC_BATCH=batch)[0].startswith("FABRIC_SYNC_BATCH")
    for good, number in (("", 100), ("1", 1), (str(MOST_SEEN), MOST_SEEN)):
        assert Settings.from_env({**LEAST, "FABRIC_SYNC_BATCH": good}).batch == number


@pytest.mark.parametrize("parallel", ["0", "11", "2.5", "many"])
def test_requests_at_once_are_a_whole_number_from_one_to_ten(parallel: str) -> None:
    assert problems(FABRIC_SYNC_PARALLEL=parallel)[0].startswith("FABRIC_SYNC_PARALLEL")


@pytest.mark.parametrize("where", ["gcp:", "gcp:UPPER", "gcp:a b", "gcp:../x"])
def test_secrets_of_an_impossible_project_are_refused(where: str) -> None:
    assert problems(FABRIC_SYNC_SECRETS=where)[0].startswith("FABRIC_SYNC_SECRETS")


def test_secrets_are_kept_in_a_directory_or_a_project(tmp_path: Path) -> None:
    for where in (str(tmp_path), "gcp:my-project"):
        assert Settings.from_env({**LEAST, "FABRIC_SYNC_SECRETS": where}).secrets == where


def test_a_file_without_a_certificate_is_no_ca_file(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    file.write_text("hello")
    assert "holds no PEM certificate" in problems(NETBOX_CA_FILE=str(file))[0]


def test_the_emulator_needs_a_project_to_play() -> None:
    assert "FABRIC_SYNC_PROJECT" in problems(PUBSUB_EMULATOR_HOST="127.0.0.1:8085")[0]
    environ = {**LEAST, "PUBSUB_EMULATOR_HOST": "127.0.0.1:8085", "FABRIC_SYNC_PROJECT": "demo"}
    assert Settings.from_env(environ).pubsub_emulator_host == "127.0.0.1:8085"


@pytest.mark.parametrize("topic", ["x", "goog-topic", "a b c", "projects/p", "1abc"])
def test_an_impossible_topic_is_refused(topic: str) -> None:
    assert problems(FABRIC_SYNC_TOPIC_OUTCOMES=topic)[0].startswith("FABRIC_SYNC_TOPIC_OUTCOMES")


def test_what_a_caller_needs_is_asked_for_by_name() -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.from_env(LEAST, needs=("secrets", "project|broker_url", "batch"))
    secrets, place = caught.value.problems
    assert "FABRIC_SYNC_SECRETS" in secrets
    assert "FABRIC_SYNC_PROJECT" in place
    assert "FABRIC_SYNC_BROKER_URL" in place
    assert Settings.from_env({**LEAST, "FABRIC_SYNC_PROJECT": "demo"}, needs=("project|broker_url",))


def test_no_way_of_printing_the_settings_shows_the_token() -> None:
    settings = Settings.from_env(LEAST)
    for shown in (
        repr(settings),
        str(settings),
        f"{settings}",
        str(settings.as_dict()),
        f"{dataclasses.asdict(settings)}",
    ):
        assert V2 not in shown
        assert "netbox.example.org" in shown
        assert "***" in shown
    assert list(settings.as_dict()) == [each.name for each in VARIABLES]


MAIL = {
    "FABRIC_SYNC_NOTIFY_EMAIL": "ann@example.org, bob@example.org",
    "FABRIC_SYNC_SMTP_URL": "smtps://ops@mail.example.org",
}


def test_a_mail_server_is_taken_with_its_user_and_the_password_apart() -> None:
    settings = Settings.from_env({**LEAST, **MAIL, "FABRIC_SYNC_SMTP_PASSWORD": "pass word"})
    assert settings.smtp_password is not None
    assert "pass word" not in str(settings)
    assert Settings.from_env({**LEAST, **MAIL, "FABRIC_SYNC_SMTP_URL": "smtp://127.0.0.1:2525"}).smtp_url


@pytest.mark.parametrize(
    "url",
    [
        "smtp://ops:secretword@mail.example.org",
        "http://mail.example.org",
        "smtp://",
        "smtp://mail.example.org:99999",
        "smtp://mail.example.org/inbox",
        "smtp://mail.example.org?x=1",
        "smtp://mail example.org",
        "smtp://ops%0d%0aDATA@mail.example.org",
    ],
)
def test_another_mail_server_is_refused_and_its_password_not_quoted(url: str) -> None:
    told = problems(**{**MAIL, "FABRIC_SYNC_SMTP_URL": url})
    assert told[0].startswith("FABRIC_SYNC_SMTP_URL ")
    assert "secretword" not in " ".join(told)


@pytest.mark.parametrize(
    "to",
    [
        "ann",
        "ann@example.org bob@example.org",
        "ann@example.org,",
        "Ann <ann@example.org>",
        "a..n@example.org",
        "änn@example.org",
    ],
)
def test_who_is_told_by_mail_is_a_list_of_addresses(to: str) -> None:
    (told,) = problems(FABRIC_SYNC_NOTIFY_EMAIL=to, FABRIC_SYNC_SMTP_URL="smtp://mail.example.org")
    assert "between commas" in told


def test_mail_needs_a_server_and_a_user_a_password() -> None:
    (told,) = problems(FABRIC_SYNC_NOTIFY_EMAIL="ann@example.org")
    assert "FABRIC_SYNC_SMTP_URL" in told
    (told,) = problems(**MAIL)
    assert "FABRIC_SYNC_SMTP_PASSWORD" in told
    (told,) = problems(
        **{**MAIL, "FABRIC_SYNC_SMTP_URL": "smtp://mail.example.org", "FABRIC_SYNC_SMTP_PASSWORD": "nobody's"}
    )
    assert "FABRIC_SYNC_SMTP_PASSWORD" in told
