//! The database's engine: its version, its settings, its connections, and the way to it.

use super::start;
use crate::db::examine::{Schema, Server, Setup, pool_size};
use crate::doctor::facts::{Database, Facts};
use crate::doctor::{Finding, Level, Outcome, by_hand, finding, run};

/// The oldest PostgreSQL that its makers still mend.
const OLDEST: i64 = 140_000;

pub(crate) fn setup(facts: &Facts) -> Outcome {
    if let Err(why) = &facts.database {
        let reason = "nothing but checking tokens works without the database";
        let mend = run(facts.command("config show"))
            .after("See that the settings name the right one, that it runs, and that this user may open it");
        return Outcome::Found(vec![finding(
            Level::Error,
            format!("the database cannot be looked at: {why}"),
            reason,
            mend,
        )]);
    }
    if let Ok(Database { schema: Schema::Current, held: Err(why), .. }) = &facts.database {
        let reason = "what stands there is refused or lost, and the damage may grow";
        let mend = run(facts.command("doctor --deep"))
            .after("Keep a copy of the database as it is, and see how far the damage goes");
        let what = format!("what is in the database cannot be read: {why}");
        return Outcome::Found(vec![finding(Level::Error, what, reason, mend)]);
    }
    match facts.setup() {
        Err(why) => Outcome::Unknown(why),
        Ok(Setup::Sqlite { journal_mode }) if journal_mode == "wal" => {
            Outcome::Fine("SQLite, in WAL mode".into())
        }
        Ok(Setup::Sqlite { .. }) if !facts.process.is_held => {
            Outcome::Fine("SQLite; a server sets WAL mode at its start".into())
        }
        Ok(Setup::Sqlite { journal_mode }) => {
            let what = format!("SQLite is in {journal_mode} mode beside a running server");
            let why = "another program has changed it: readers and the writer lock each other out";
            let mend = start(facts, "").after("Stop the server and start it again: it sets WAL");
            Outcome::Found(vec![finding(Level::Error, what, why, mend)])
        }
        Ok(Setup::Postgres(server)) => postgres(server),
    }
}

fn postgres(server: &Server) -> Outcome {
    let (major, minor) = (server.version / 10_000, server.version % 10_000);
    let mut findings: Vec<Finding> = Vec::new();
    let psql = |statement: &str| run(format!("psql -c {}", super::super::shell_word(statement)));
    if server.is_standby {
        let why = "it takes no changes: nobody can sign up, log in or refresh";
        let mend =
            by_hand("Name the primary in database_url, or all hosts, separated by commas, or promote it");
        findings.push(finding(Level::Error, "PostgreSQL is a standby", why, mend));
    }
    for (is_on, name) in [(server.fsync, "fsync"), (server.full_page_writes, "full_page_writes")] {
        if !is_on {
            let why = "when the machine loses its power, what was acknowledged is lost, and the database may be damaged beyond repair";
            let mend = psql(&format!("ALTER SYSTEM SET {name} = on"))
                .after("As its administrator, then reload it: SELECT pg_reload_conf()");
            findings.push(finding(Level::Error, format!("PostgreSQL runs with {name} = off"), why, mend));
        }
    }
    if matches!(server.synchronous_commit.as_str(), "off" | "local") {
        let what = format!("synchronous_commit is {}", server.synchronous_commit);
        let why = "servers set it on for each of their own transactions, which costs them a word more each time; other \
            programs on this database may lose what they were told is kept";
        let mend =
            psql("ALTER DATABASE claviger RESET synchronous_commit").after("With the name of the database");
        findings.push(finding(Level::Info, what, why, mend));
    }
    if server.version < OLDEST {
        let what = format!("PostgreSQL is version {major}.{minor}");
        let why = "its makers mend nothing in it any more";
        let mend = by_hand("Move to PostgreSQL 15 or later, by pg_upgrade or by `claviger database copy`");
        findings.push(finding(Level::Warning, what, why, mend));
    }
    Outcome::of(findings, format!("PostgreSQL {major}.{minor}"))
}

pub(crate) fn connections(facts: &Facts) -> Outcome {
    let server = match facts.setup() {
        Err(why) => return Outcome::Unknown(why),
        Ok(Setup::Sqlite { .. }) => return Outcome::Skipped("SQLite has none".into()),
        Ok(Setup::Postgres(server)) => server,
    };
    let Server { most_connections: most, connections, own_connections: own, .. } = **server;
    let pool = i64::try_from(pool_size()).unwrap_or(i64::MAX);
    let said = format!("{connections} of {most} are taken, {own} by servers; each takes up to {pool}");
    if most - connections >= pool {
        return Outcome::Fine(said);
    }
    let level = if most < pool { Level::Error } else { Level::Warning };
    let why = "a server that gets no connection answers 503: when all are busy, or when one more is started, as in a \
        rolling restart";
    let wanted = (connections + 2 * pool).max(100);
    let mend = run(format!("psql -c 'ALTER SYSTEM SET max_connections = {wanted}'"))
        .after("As its administrator, then start PostgreSQL again; or put PgBouncer between");
    Outcome::Found(vec![finding(level, format!("PostgreSQL has few connections left: {said}"), why, mend)])
}

pub(crate) fn tls(facts: &Facts) -> Outcome {
    let Some(url) = &facts.config.database_url else { return Outcome::Skipped("SQLite is a file".into()) };
    if !url.is_open_to_others() {
        return Outcome::Fine("it is, or stays on this machine".into());
    }
    let now = match facts.setup() {
        Ok(Setup::Postgres(server)) if server.is_encrypted => {
            "it is encrypted now, but to whom is not verified"
        }
        Ok(_) => "it is not encrypted",
        Err(_) => "nothing asks for a verified one",
    };
    let what = format!("others may read along on the way to {url}: {now}");
    let why = "password hashes, sessions and the database's password pass there";
    let mend = run(facts.command("config check")).after("Add sslmode=verify-full to database_url, and sslrootcert=FILE if its certificate is of your own authority");
    Outcome::Found(vec![finding(Level::Warning, what, why, mend)])
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;
    use crate::doctor::facts::of_tests::found;

    #[test]
    fn what_loses_acknowledged_changes_is_found() {
        let mut facts = Facts::healthy_on_postgres();
        (facts.server_mut().fsync, facts.server_mut().full_page_writes) = (false, false);
        assert_eq!(found(setup(&facts)).len(), 2);
        let mut facts = Facts::healthy_on_postgres();
        (facts.server_mut().is_standby, facts.server_mut().version) = (true, 130_012);
        facts.server_mut().synchronous_commit = "local".into();
        let levels: Vec<Level> = found(setup(&facts)).into_iter().map(|(level, _)| level).collect();
        assert_eq!(levels, [Level::Error, Level::Info, Level::Warning]);
        facts.database.as_mut().unwrap().held = Err("database disk image is malformed".into());
        assert!(found(setup(&facts)).first().unwrap().1.ends_with("is malformed"));
        facts.database = Err("it does not answer".into());
        assert!(found(setup(&facts)).first().unwrap().1.contains("it does not answer"));
    }

    #[test]
    fn another_journal_mode_matters_beside_a_server() {
        let mut facts = Facts::healthy();
        facts.database.as_mut().unwrap().setup = Ok(Setup::Sqlite { journal_mode: "delete".into() });
        assert_eq!(found(setup(&facts)).first().unwrap().0, Level::Error);
        facts.stop();
        assert_eq!(found(setup(&facts)), [], "a restored backup has not started yet");
    }

    #[test]
    fn a_server_more_needs_its_connections() {
        let (mut facts, pool) = (Facts::healthy_on_postgres(), i64::try_from(pool_size()).unwrap());
        for (most, taken, level) in [
            (100, 100 - pool, None),
            (100, 101 - pool, Some(Level::Warning)),
            (pool - 1, 0, Some(Level::Error)),
        ] {
            (facts.server_mut().most_connections, facts.server_mut().connections) = (most, taken);
            assert_eq!(found(connections(&facts)).first().map(|(level, _)| *level), level, "{most} {taken}");
        }
    }

    #[test]
    fn a_way_that_others_share_is_verified() {
        for (url, count) in [
            ("postgres://u:hunter2@db.example.org/d", 1),
            ("postgres://u@db.example.org/d?sslmode=verify-full", 0),
            ("postgres://u@127.0.0.1/d", 0),
        ] {
            let found = found(tls(&Facts::healthy_with(&[("database_url", url)])));
            assert_eq!(found.len(), count, "{url}");
            assert!(!format!("{found:?}").contains("hunter2"));
        }
    }
}
