"""Settings: where they come from, and what is said about those that cannot work."""

import pytest

from dynflow_mp.config import Config
from dynflow_mp.errors import ConfigError


def load(tmp_path, settings=None, environment=None):
    return Config.load(settings, environment or {}, tmp_path)


def test_defaults_make_a_client_on_sqlite(tmp_path):
    config = load(tmp_path)

    assert config.pools == {}
    assert config.database_url == "sqlite:///dynflow.db"


def test_workers_and_queues_together_are_the_pools(tmp_path):
    config = load(tmp_path, {"workers": 2, "queues": {"slow": 1}})

    assert config.pools == {"default": 2, "slow": 1}


def test_keywords_are_stronger_than_the_environment_and_that_than_the_file(tmp_path):
    (tmp_path / "dynflow.toml").write_text('workers = 1\nmax_credit = 7\ndatabase_url = "sqlite:///f.db"\n')
    environment = {"DYNFLOW_WORKERS": "2", "DYNFLOW_MAX_CREDIT": "8"}

    config = load(tmp_path, {"workers": 3}, environment)

    assert (config.workers, config.max_credit, config.database_url) == (3, 8, "sqlite:///f.db")


def test_settings_may_stand_in_pyproject(tmp_path):
    (tmp_path / "pyproject.toml").write_text("[tool.dynflow_mp]\nworkers = 4\n")

    assert load(tmp_path).workers == 4


def test_the_environment_is_read_by_the_setting_s_kind(tmp_path):
    config = load(
        tmp_path,
        environment={
            "DYNFLOW_APPS": "a.b, c",
            "DYNFLOW_QUEUES": "slow=2,gpu=1",
            "DYNFLOW_AUTO_EXECUTE": "yes",
            "DYNFLOW_LEASE_TTL_S": "11.5",
            "DYNFLOW_CLEANER_MAX_AGE_S": "86400",
            "DYNFLOW_MAX_STEPS_PER_WORKER": "1000",
            "OTHER": "ignored",
        },
    )

    assert config.apps == ("a.b", "c")
    assert config.queues == {"slow": 2, "gpu": 1}
    assert config.auto_execute is True
    assert config.lease_ttl_s == 11.5
    assert config.cleaner_max_age_s == 86400.0
    assert config.max_steps_per_worker == 1000


def test_an_unknown_setting_is_refused_with_a_hint(tmp_path):
    with pytest.raises(ConfigError, match="did you mean 'workers'"):
        load(tmp_path, {"worker": 2})


def test_an_unknown_setting_in_a_file_is_refused(tmp_path):
    (tmp_path / "dynflow.toml").write_text("wrokers = 1\n")

    with pytest.raises(ConfigError, match=r"dynflow\.toml.*did you mean 'workers'"):
        load(tmp_path)


def test_an_unknown_environment_variable_of_ours_warns(tmp_path):
    with pytest.warns(UserWarning, match="DYNFLOW_WORKER is not a setting"):
        load(tmp_path, environment={"DYNFLOW_WORKER": "2"})


def test_a_file_that_is_no_toml_is_named(tmp_path):
    (tmp_path / "dynflow.toml").write_text("workers = ")

    with pytest.raises(ConfigError, match=r"dynflow\.toml"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("workers", -1),
        ("workers", 513),
        ("workers", "2"),
        ("workers", True),
        ("queues", {"slow": 0}),
        ("queues", ["slow"]),
        ("queues", {"slow": 10_000}),
        ("apps", "module"),
        ("apps", [""]),
        ("database_url", "shop.db"),
        ("listen", "5555"),
        ("connector", "carrier-pigeon"),
        ("connector_poll_s", 0),
        ("connector_poll_s", 6),
        ("connector_poll_s", "often"),
        ("lease_ttl_s", 0),
        ("on_lease_loss", "shrug"),
        ("drain_grace_s", "long"),
        ("delayed_poll_s", 0),
        ("errand_timeout_s", None),
        ("cleaner_max_age_s", -1),
        ("cleaner_interval_s", "daily"),
        ("max_payload", 10),
        ("max_steps_per_worker", 0),
        ("max_worker_age_s", 0),
        ("max_worker_deaths", 0),
        ("max_worker_memory", 1_000_000),
        ("max_credit", 0),
        ("auto_terminate", "maybe"),
        ("eligible", 1),
    ],
)
def test_a_value_that_cannot_work_is_refused_and_named(tmp_path, name, value):
    with pytest.raises(ConfigError, match=name):
        load(tmp_path, {name: value})


def test_a_lease_that_ends_before_it_is_renewed_is_refused_where_steps_run():
    with pytest.raises(ConfigError, match=r"lease_renewal_s=5.0: must be at most half of lease_ttl_s=9"):
        Config(workers=1, lease_ttl_s=9)

    assert Config(lease_ttl_s=9).pools == {}
    assert Config(workers=1, lease_ttl_s=9, lease_renewal_s=4.5).lease_ttl_s == 9


def test_an_endpoint_where_nobody_would_listen_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"listen=.*connector='database'"):
        load(tmp_path, {"connector": "database", "listen": "tcp://127.0.0.1:5555"})


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("DYNFLOW_WORKERS", "two"),
        ("DYNFLOW_AUTO_EXECUTE", "maybe"),
        ("DYNFLOW_QUEUES", "slow"),
        ("DYNFLOW_META", "x"),
        ("DYNFLOW_CLEANER_MAX_AGE_S", "a day"),
    ],
)
def test_an_environment_value_that_cannot_be_read_is_refused_and_named(tmp_path, variable, text):
    with pytest.raises(ConfigError, match=variable):
        load(tmp_path, environment={variable: text})


def test_middleware_is_kept_by_the_place_where_workers_find_it(tmp_path):
    from dynflow_mp import TransactionMiddleware

    config = load(tmp_path, {"middleware": [TransactionMiddleware, "shop.audit:RULES"]})
    assert config.middleware == (
        "dynflow_mp.actions.transaction:TransactionMiddleware",
        "shop.audit:RULES",
    )
    environment = {"DYNFLOW_MIDDLEWARE": "shop.audit:Audit, shop.audit:Log"}
    assert load(tmp_path, None, environment).middleware == ("shop.audit:Audit", "shop.audit:Log")


@pytest.mark.parametrize("wrong", ["shop.audit:Audit", ["shop.audit"], ["shop..audit:A"], [":A"], [3]])
def test_middleware_that_has_no_place_is_refused(tmp_path, wrong):
    with pytest.raises(ConfigError, match="middleware"):
        load(tmp_path, {"middleware": wrong})


def test_the_default_queue_has_one_number_of_workers(tmp_path):
    assert load(tmp_path, {"queues": {"default": 3}}).pools == {"default": 3}
    with pytest.raises(ConfigError, match="'default' has its number by workers"):
        load(tmp_path, {"workers": 1, "queues": {"default": 3}})


def test_a_config_cannot_be_changed(tmp_path):
    with pytest.raises(AttributeError):
        load(tmp_path).workers = 3


def test_a_database_url_is_never_shown():
    with pytest.raises(ConfigError, match="database_url=") as refused:
        Config(database_url="postgresql:scott:tiger@host/plans")

    config = Config(database_url="postgresql://scott:tiger@host/plans")

    assert "tiger" not in str(refused.value)
    assert "tiger" not in repr(config)


def test_a_database_url_of_the_environment_is_not_shown_either(tmp_path):
    with pytest.raises(ConfigError, match="DYNFLOW_DATABASE_URL=") as refused:
        load(tmp_path, environment={"DYNFLOW_DATABASE_URL": "postgresql:scott:tiger@host/plans"})

    assert "tiger" not in str(refused.value)
