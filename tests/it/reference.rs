//! The reference pages, made from the code: `UPDATE_DOCS=1 cargo test --test it reference` writes them anew.

use crate::harness::routes;
use clap::{Arg, Command};
use claviger::config::raw::{SETTINGS, Setting};
use claviger::http::document::document;
use claviger::http::limit::Limit;
use claviger::http::openapi::{Access, Described, Place};
use claviger::http::problem;
use serde_json::Value;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

/// The pages, by their names.
fn pages() -> [(&'static str, String); 4] {
    [("settings", settings()), ("commands", commands()), ("problems", problems()), ("api", api())]
}

#[test]
fn the_reference_pages_are_current() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference");
    for (name, text) in pages() {
        let file = folder.join(format!("{name}.md"));
        if std::env::var_os("UPDATE_DOCS").is_some() {
            fs::create_dir_all(&folder).unwrap();
            fs::write(&file, &text).unwrap();
        }
        let kept = fs::read_to_string(&file).unwrap_or_default();
        assert!(
            kept == text,
            "docs/reference/{name}.md is not current: UPDATE_DOCS=1 cargo test --test it reference"
        );
    }
}

fn head(title: &str, from: &str, intro: &str) -> String {
    format!(
        "<!-- Made from {from}: UPDATE_DOCS=1 cargo test --test it reference -->\n\n# {title}\n\n{intro}\n"
    )
}

/// A text within a cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('<', "\\<").replace('\n', " ")
}

fn settings() -> String {
    let mut out = head(
        "Settings",
        "src/config/raw.rs",
        "A setting is read from its flag, then from its environment variable, then from the settings file \
         (`claviger.toml` where the command is run, or what `--config` or `CLAVIGER_CONFIG` names), then its default \
         holds. `claviger config check` says what is wrong and how to mend it, `claviger config show` prints all of \
         them with where each comes from, as a settings file.\n\n\
         Times are written as `90s`, `15m`, `1h` or `30d`. Lists are separated by commas; in the file they may also be \
         lists. Flags without a value are switches; in the file and the environment they are `true` or `false`. \
         `serve` and `config` take all flags, other commands those that they need: see [Commands](commands.md).",
    );
    for setting in SETTINGS {
        let Setting { key, value, default, help, secret } = setting;
        let _ = write!(out, "\n## {key}\n\n{}.\n\n", cell(help));
        let value = if value.is_empty() { String::new() } else { format!(" {value}") };
        let flag = if *secret {
            "none: others can read a command line".to_owned()
        } else {
            format!("`--{}{value}`", setting.flag())
        };
        let _ = write!(
            out,
            "| flag | variable | default |\n| --- | --- | --- |\n| {flag} | `{}` | {default} |\n",
            setting.variable()
        );
    }
    out
}

fn commands() -> String {
    let mut out = head(
        "Commands",
        "the command line, src/cli",
        "`claviger COMMAND --help` shows the same, and `claviger man --dir DIR` writes it as manual pages. Exit codes: 0 done, \
         1 failed (the message says why), 2 wrong usage or settings, 3 done but for what was refused, unless a command says \
         otherwise.\n",
    );
    let mut root = claviger::cli::command().disable_help_subcommand(true);
    root.build();
    for sub in root.get_subcommands() {
        command(&mut out, sub, &format!("claviger {}", sub.get_name()));
    }
    out
}

fn command(out: &mut String, command: &Command, name: &str) {
    let level = "#".repeat(name.split(' ').count());
    let _ = write!(out, "\n{level} {name}\n\n{}.\n", command.get_about().unwrap());
    // One that does something by itself is called without another word too.
    if !command.is_subcommand_required_set() {
        own(out, command, name);
    }
    for sub in command.get_subcommands() {
        self::command(out, sub, &format!("{name} {}", sub.get_name()));
    }
}

fn own(out: &mut String, command: &Command, name: &str) {
    let (settings, own): (Vec<&Arg>, Vec<&Arg>) = command
        .get_arguments()
        .filter(|arg| !["help", "version"].contains(&arg.get_id().as_str()))
        .partition(|arg| is_setting(arg));
    let positional: String =
        own.iter().filter(|arg| arg.is_positional()).map(|arg| form(arg) + " ").collect();
    let options =
        if own.iter().any(|arg| !arg.is_positional()) || !settings.is_empty() { " [OPTIONS]" } else { "" };
    let _ = write!(out, "\n    {}\n", format!("{name}{options} {positional}").trim_end());
    if !own.is_empty() {
        out.push_str("\n| argument | meaning |\n| --- | --- |\n");
        for arg in own {
            let _ = writeln!(out, "| `{}` | {} |", form(arg), meaning(arg));
        }
    }
    let keys: Vec<&str> = settings.iter().map(|arg| arg.get_id().as_str()).collect();
    if keys.len() >= SETTINGS.iter().filter(|setting| !setting.secret).count() {
        out.push_str("\nTakes all [settings](settings.md) as flags, and `--config FILE`.\n");
    } else if !keys.is_empty() {
        let link = |key: &&&str| SETTINGS.iter().any(|setting| setting.key == **key);
        let links: Vec<String> = keys
            .iter()
            .filter(link)
            .map(|key| format!("[`--{}`](settings.md#{key})", key.replace('_', "-")))
            .collect();
        let _ = write!(out, "\nSettings as flags: `--config FILE`, {}.\n", links.join(", "));
    }
    after(out, &command.get_after_help().unwrap().to_string());
}

/// Whether it is the flag of a setting, or names the settings file.
fn is_setting(arg: &Arg) -> bool {
    let id = arg.get_id().as_str();
    id == "config" || SETTINGS.iter().any(|setting| setting.key == id)
}

fn form(arg: &Arg) -> String {
    let value = arg.get_value_names().and_then(|names| names.first()).map(ToString::to_string);
    let takes_value = arg.get_action().takes_values();
    let short = arg.get_short().map(|short| format!("-{short}, ")).unwrap_or_default();
    match (arg.get_long(), value) {
        (None, value) if arg.is_required_set() => value.unwrap_or_default(),
        (None, value) => format!("[{}]", value.unwrap_or_default()),
        (Some(long), Some(value)) if takes_value => format!("{short}--{long} {value}"),
        (Some(long), _) => format!("{short}--{long}"),
    }
}

fn meaning(arg: &Arg) -> String {
    let mut said = arg.get_help().map(|help| cell(&help.to_string())).unwrap_or_default();
    let values: Vec<String> = arg
        .get_possible_values()
        .iter()
        .filter(|_| arg.get_action().takes_values() && !arg.is_hide_possible_values_set())
        .map(|value| format!("`{}`", value.get_name()))
        .collect();
    if !values.is_empty() {
        let separator = if said.is_empty() { "" } else { ": " };
        said = format!("{said}{separator}{}", values.join(", "));
    }
    let default = arg.get_default_values().first().filter(|_| arg.get_action().takes_values());
    if let Some(default) = default {
        let _ = write!(said, " (default: {})", default.to_string_lossy());
    }
    if arg.is_required_set() && !arg.is_positional() {
        said.push_str(" (must be given)");
    }
    said
}

/// What stands below the help: paragraphs, indented texts, and examples.
fn after(out: &mut String, help: &str) {
    let mut examples = Vec::new();
    for part in help.split("\n\n").filter(|part| !part.trim().is_empty()) {
        if part.starts_with("Example") {
            let lines =
                part.lines().map(|line| line.trim_start_matches("Examples:").trim_start_matches("Example:"));
            examples.extend(lines.map(str::trim).filter(|line| !line.is_empty()));
        } else if part.lines().all(|line| line.starts_with("  ")) {
            let _ = write!(out, "\n```text\n{part}\n```\n");
        } else {
            let _ = write!(out, "\n{}\n", part.replace('<', "\\<"));
        }
    }
    let _ = write!(out, "\n```sh\n{}\n```\n", examples.join("\n"));
}

fn problems() -> String {
    let mut out = head(
        "Problems",
        "src/http/problem.rs",
        "An error is an `application/problem+json` document (RFC 9457): `type` is stable, so match on it and not on the \
         words; `detail` says what happened this time; `instance` names the request, as the header `X-Request-Id` and \
         the log do; `errors` lists the fields that are not valid. `type` is `/docs#` and the name: it leads to this \
         list on the server itself.\n\n\
         Routes that speak OAuth answer their own errors by RFC 6749 §5.2: `error` and `error_description`.",
    );
    for kind in problem::ALL {
        let _ = write!(
            out,
            "\n## {}\n\n**{}** (status {}). {}\n",
            kind.name, kind.title, kind.status, kind.meaning
        );
    }
    out
}

fn api() -> String {
    let routes = routes();
    let described: Vec<Described<'_>> = routes.iter().map(claviger::routes::Route::described).collect();
    let document = document(&described, "https://auth.example.org");
    let mut out = head(
        "API",
        "the routes, src/routes.rs",
        "A server describes itself: `GET /openapi.json` is this as OpenAPI 3.1, `GET /docs` a page of it.\n\n\
         A token goes into `Authorization: Bearer`, `x-access-token` or `token`. Bodies are JSON, or forms where the route \
         speaks OAuth. With `Idempotency-Key` (a key of the caller's, such as a UUID), where a route takes it, the same \
         request may be sent again for 24 hours: it makes nothing new and is answered alike.\n\n\
         | call | what |\n| --- | --- |",
    );
    for route in &described {
        let anchor = format!("{} {}", route.method, route.path).to_lowercase();
        let anchor: String = anchor
            .chars()
            .filter(|c| c.is_alphanumeric() || "-_ ".contains(*c))
            .map(|c| if c == ' ' { '-' } else { c })
            .collect();
        let _ =
            writeln!(out, "| [`{} {}`](#{anchor}) | {} |", route.method, route.path, route.operation.summary);
    }
    for route in &described {
        self::route(&mut out, route, &document);
    }
    out
}

fn route(out: &mut String, route: &Described<'_>, document: &Value) {
    let operation = route.operation;
    let _ = write!(
        out,
        "\n## `{} {}`\n\n{}. {}",
        route.method,
        route.path,
        operation.summary,
        access(route.access)
    );
    if let Limit::Of(class) = route.limit {
        let _ = write!(out, " From one network: {class}.");
    }
    if operation.speaks_oauth(route.access) {
        out.push_str(" Speaks OAuth.");
    }
    if operation.repeatable {
        out.push_str(" Takes `Idempotency-Key`.");
    }
    out.push('\n');
    if !operation.parameters.is_empty() {
        out.push_str("\n| parameter | place | meaning |\n| --- | --- | --- |\n");
        for parameter in operation.parameters {
            let place = if parameter.place == Place::Path { "path" } else { "query (optional)" };
            let _ = writeln!(out, "| `{}` | {place} | {} |", parameter.name, cell(parameter.description));
        }
    }
    if let Some(body) = &operation.request {
        let described = &document["paths"][route.path][route.method.to_lowercase()]["requestBody"];
        fields(out, &described["content"][body.content_type]["schema"], document);
        let language = if body.content_type.ends_with("json") { "json" } else { "text" };
        let _ = write!(out, "\n```{language}\n{}\n```\n", body.example);
    }
    out.push_str("\n| status | answer |\n| --- | --- |\n");
    for answer in operation.answers {
        let _ = writeln!(out, "| {} | {} |", answer.status, cell(answer.meaning));
    }
    for kind in route.problems() {
        let _ = writeln!(out, "| {} | [{}](problems.md#{}) |", kind.status, kind.title, kind.name);
    }
}

fn access(access: Access) -> &'static str {
    match access {
        Access::Anyone => "Anyone may call it.",
        Access::Password => "Needs an e-mail address (or unshared name) and password by HTTP Basic.",
        Access::Token => "Needs a token.",
        Access::Account => "Needs a token whose scope has `account`.",
        Access::ApiKey => "Needs an API key, in `Authorization: Bearer` or as the password of HTTP Basic.",
    }
}

fn fields(out: &mut String, schema: &Value, document: &Value) {
    let pointer = schema["$ref"].as_str().and_then(|reference| reference.strip_prefix('#'));
    let schema = pointer.and_then(|pointer| document.pointer(pointer)).unwrap_or(schema);
    let required = schema["required"].as_array();
    out.push_str("\n| field | meaning |\n| --- | --- |\n");
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let is_required = required.is_some_and(|names| names.iter().any(|required| required == name));
        let optional = if is_required { "" } else { " (optional)" };
        let _ = writeln!(
            out,
            "| `{name}`{optional} | {} |",
            cell(property["description"].as_str().unwrap_or_default())
        );
    }
}
