//! The server that runs here, if one does.

use super::start;
use crate::doctor::facts::Facts;
use crate::doctor::{Finding, Level, Outcome, finding, run};

pub(crate) fn running(facts: &Facts) -> Outcome {
    let (process, listen) = (&facts.process, facts.config.listen);
    let holder = process.id.map_or_else(|| "a process".to_owned(), |id| format!("process {id}"));
    if !facts.is_served() {
        return Outcome::Fine("no server runs".into());
    }
    if let (Err(why), false) = (&facts.listener.jwk_set, process.is_held) {
        let what = format!("something listens at {listen} and does not answer ({why})");
        let why =
            "a server that hangs, or another program, takes connections there, and callers wait in vain";
        let mend = run(format!("ss -ltnp 'sport = :{}'", listen.port()))
            .after("See which program it is, and end it or start it again");
        return Outcome::Found(vec![finding(Level::Error, what, why, mend)]);
    }
    if let Err(why) = &facts.listener.jwk_set {
        let what = format!("{holder} has the data folder, and nothing answers at {listen} ({why})");
        let why = "the server is not where these settings say, or is starting, or hangs; or a copy of the database is made";
        let mend = run(facts.command("config show"))
            .after("Compare with the settings that the server was started with: is `listen` the same?");
        return Outcome::Found(vec![finding(Level::Warning, what, why, mend)]);
    }
    if !process.is_held && facts.config.database_url.is_none() {
        let what = format!("a server answers at {listen}, and none has this data folder");
        let why =
            "it is the server of another installation: these settings name a folder that it does not use";
        let mend = run(facts.command("config show"))
            .after("Compare with the settings that the server was started with");
        return Outcome::Found(vec![finding(Level::Error, what, why, mend)]);
    }
    let ready = match &facts.listener.ready {
        Ok(answer) if answer.status == 200 => {
            return Outcome::Fine(
                format!("{holder} answers at {listen}, and is ready")
                    .replace("a process answers", "a server answers"),
            );
        }
        Ok(answer) => {
            let document: serde_json::Value = serde_json::from_slice(&answer.body).unwrap_or_default();
            let detail = document.get("detail").and_then(serde_json::Value::as_str).unwrap_or_default();
            format!("GET /health/ready answers {} {detail}", answer.status)
        }
        Err(why) => format!("GET /health/ready fails: {why}"),
    };
    let why = "load balancers send it no requests";
    let mend =
        run(format!("curl -i http://{listen}/health/ready")).after("See the server's log, and ask again");
    Outcome::Found(vec![finding(Level::Error, ready.trim_end().to_owned(), why, mend)])
}

pub(crate) fn version(facts: &Facts) -> Outcome {
    let own = env!("CARGO_PKG_VERSION");
    if !facts.is_served() {
        return Outcome::Skipped("no server runs".into());
    }
    let mut findings: Vec<Finding> = Vec::new();
    let mend = start(facts, "").after("Stop the server and start it again, so that it is this program");
    if let Some(other) = facts.listener.version.as_deref().filter(|version| *version != own) {
        let what = format!("the running server is version {other}, this program {own}");
        let why = "what this program says of settings and database may not hold for that server";
        findings.push(finding(Level::Warning, what, why, mend.clone()));
    } else if facts.process.is_replaced {
        let what = "the running server's program file was replaced since it was started";
        let why = "it runs the old one, perhaps with what the new one mends";
        findings.push(finding(Level::Warning, what, why, mend));
    }
    match facts.listener.version.as_deref() {
        None if findings.is_empty() => {
            Outcome::Skipped("the server does not say of which version it is".into())
        }
        _ => Outcome::of(findings, format!("it is {own} too")),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    fn first(outcome: Outcome) -> Finding {
        let Outcome::Found(findings) = outcome else { panic!("{outcome:?}") };
        findings.into_iter().next().unwrap()
    }

    #[test]
    fn what_runs_is_ready_and_has_the_folder() {
        let mut facts = Facts::healthy();
        facts.process.is_held = false;
        assert!(first(running(&facts)).what.contains("none has this data folder"));
        let mut facts = Facts::healthy();
        let ready = facts.listener.ready.as_mut().unwrap();
        (ready.status, ready.body) =
            (503, br#"{"detail":"No requests should come here: the database does not answer."}"#.to_vec());
        assert!(
            first(running(&facts))
                .what
                .ends_with("503 No requests should come here: the database does not answer.")
        );
        facts.listener.jwk_set = Err("connection refused".into());
        assert!(
            first(running(&facts)).what.starts_with("process 4711 has the data folder, and nothing answers")
        );
        facts.process.is_held = false;
        assert!(
            first(running(&facts))
                .what
                .starts_with("something listens at 127.0.0.1:5000 and does not answer")
        );
        facts.stop();
        assert!(matches!((running(&facts), version(&facts)), (Outcome::Fine(_), Outcome::Skipped(_))));
    }

    #[test]
    fn a_server_is_started_again_by_what_runs_it() {
        let mut facts = Facts::healthy();
        facts.process.is_replaced = true;
        facts.call.flags = vec![crate::doctor::Flag { name: "limits".into(), value: Some("false".into()) }];
        let mend = |facts: &Facts| first(version(facts)).mend.command.unwrap();
        assert_eq!(mend(&facts), "claviger serve --limits false");
        facts.unit = Some("claviger".into());
        assert_eq!(mend(&facts), "systemctl restart claviger");
    }

    #[test]
    fn servers_of_a_shared_database_hold_no_folder() {
        let mut facts = Facts::healthy_on_postgres();
        facts.process.is_held = false;
        assert!(matches!(running(&facts), Outcome::Fine(_)));
    }

    #[test]
    fn another_version_is_found_by_its_word_or_its_file() {
        let mut facts = Facts::healthy();
        facts.listener.version = Some("0.0.9".into());
        assert!(first(version(&facts)).what.contains("0.0.9"));
        let mut facts = Facts::healthy();
        facts.process.is_replaced = true;
        assert!(first(version(&facts)).what.contains("replaced"));
    }
}
