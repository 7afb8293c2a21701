//! `claviger doctor hash`: which code hashes, how fast, in what memory, and what it could be set to.

use super::suggestion::{LEAST, most_memory, suggest};
use crate::cli::{configuration, failed, print};
use crate::config::Hash;
use crate::doctor::rate::{Failed, Rate, machine_kib, measure, never_huge};
use clap::ArgMatches;
use claviger_crypto::password::{Engine, Params};
use serde_json::{Value, json};
use std::process::ExitCode;
use std::time::Duration;

/// Both engines are measured so often in turns, and the best of each counts: all else on the machine only slows.
const ROUNDS: usize = 3;

/// The most tries to come near the wanted time.
const TRIES: usize = 5;

/// What was found.
struct Report {
    hash: Hash,
    fast: Rate,
    plain: Rate,
    all_threads: Rate,
    target: Duration,
    suggested: Params,
    /// With the suggested parameters, on all threads.
    then: Rate,
}

pub(super) fn run(args: &ArgMatches) -> Result<ExitCode, ExitCode> {
    let hash = configuration(args)?.hash;
    let target = args.get_one::<u32>("target_ms").copied().unwrap_or_default();
    let report = examine(hash, Duration::from_millis(target.into())).map_err(failed)?;
    if args.get_flag("json") {
        print(format_args!("{}\n", report.json()));
    } else {
        print(format_args!("{}", report.text()));
    }
    Ok(ExitCode::SUCCESS)
}

fn examine(hash: Hash, target: Duration) -> Result<Report, Failed> {
    let one = |engine| Hash { engine, threads: 1, ..hash };
    let (mut fast, mut plain) = (measure(one(Engine::Fast))?, measure(one(Engine::Plain))?);
    for _ in 1..ROUNDS {
        fast = better(fast, measure(one(Engine::Fast))?);
        plain = better(plain, measure(one(Engine::Plain))?);
    }
    let all_threads = better(measure(hash)?, measure(hash)?);
    let (suggested, then) = nearest(hash, target)?;
    Ok(Report { hash, fast, plain, all_threads, target, suggested, then })
}

/// The parameters whose hash came nearest to `target`, of a few tries, each from where the one before came to: larger
/// memory finds less of itself in the processor's caches, and a machine that is busy for a moment misleads.
fn nearest(hash: Hash, target: Duration) -> Result<(Params, Rate), Failed> {
    let most = most_memory(machine_kib(), hash.threads);
    let with = |params| measure(Hash { params, ..hash });
    let off = |rate: Rate| rate.each.abs_diff(target);
    let mut tried = (LEAST, with(LEAST)?);
    let mut nearest = tried;
    for _ in 0..TRIES {
        let next = suggest(target, tried.0, tried.1.each, most);
        tried = (next, with(next)?);
        if off(tried.1) < off(nearest.1) {
            nearest = tried;
        }
        if off(nearest.1) < target / 10 {
            break;
        }
    }
    Ok(nearest)
}

fn better(one: Rate, other: Rate) -> Rate {
    if other.per_second > one.per_second { other } else { one }
}

/// The memory of all threads.
fn taken_kib(params: Params, threads: usize) -> u64 {
    u64::from(params.memory_kib) * u64::try_from(threads).unwrap_or(u64::MAX)
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

impl Report {
    fn one_thread(&self) -> Rate {
        match self.hash.engine {
            Engine::Fast => self.fast,
            Engine::Plain => self.plain,
        }
    }

    fn text(&self) -> String {
        let Hash { params, engine, threads, .. } = self.hash;
        let Params { memory_kib, passes, lanes } = params;
        let rate = |rate: Rate| format!("{:.1} hashes/s, {:.1} ms each", rate.per_second, millis(rate.each));
        let lines = [
            ("engine", format!("{}, with {}", engine.name(), engine.instructions())),
            ("parameters", format!("m={memory_kib},t={passes},p={lanes}")),
            ("memory", self.memory()),
            ("one thread", rate(self.one_thread())),
            ("all threads", format!("{}, on {}", rate(self.all_threads), of(threads))),
            ("fast engine", self.engines()),
        ];
        let found: String = lines.iter().map(|(name, text)| format!("{name:<12} {text}\n")).collect();
        found + "\n" + &self.suggestion()
    }

    fn engines(&self) -> String {
        let (fast, plain) = (self.fast.per_second, self.plain.per_second);
        let with = Engine::Plain.instructions();
        format!("{:.2} times the plain one ({plain:.1} hashes/s on one thread, with {with})", fast / plain)
    }

    fn memory(&self) -> String {
        let Hash { params, engine, threads, .. } = self.hash;
        let taken = mib(taken_kib(params, threads));
        let huge = match self.all_threads.huge_kib {
            None => "whether on huge pages is unknown here".to_owned(),
            Some(0) if engine == Engine::Plain => {
                "none on huge pages: the plain engine asks for none".to_owned()
            }
            Some(0) if never_huge() => {
                "none on huge pages. Allow them: echo madvise > /sys/kernel/mm/transparent_hugepage/enabled"
                    .to_owned()
            }
            Some(huge) => format!("{} of it on huge pages", mib(huge)),
        };
        format!("{taken} for {}, {huge}", of(threads))
    }

    fn suggestion(&self) -> String {
        let Params { memory_kib, passes, lanes } = self.suggested;
        let (target, threads) = (self.target.as_millis(), self.hash.threads);
        let (then, taken) = (self.then, mib(taken_kib(self.suggested, threads)));
        let least = if self.suggested == LEAST { ", OWASP's least" } else { "" };
        format!(
            "For a hash of {target} ms with all threads at work{least}:\n  \
            hash_memory_kib = {memory_kib}\n  hash_passes = {passes}\n  hash_lanes = {lanes}\n\
            Measured: {:.1} ms, {:.1} logins/s at most, {taken} for {}.\n\n\
            Memory is what makes guessing on graphics cards dear, so time goes there first; passes cost time alone.\n\
            Dearer hashes are dearer for guessers and for you: fewer logins a second, more memory under load.\n",
            millis(then.each),
            then.per_second,
            of(threads),
        )
    }

    fn json(&self) -> Value {
        let Hash { params, engine, threads, .. } = self.hash;
        let rate =
            |rate: Rate| json!({"hashes_per_second": rate.per_second, "milliseconds": millis(rate.each)});
        let cost = |of: Params| {
            json!({
                "hash_memory_kib": of.memory_kib,
                "hash_passes": of.passes,
                "hash_lanes": of.lanes,
            })
        };
        json!({
            "engine": engine.name(),
            "instructions": engine.instructions(),
            "parameters": cost(params),
            "threads": threads,
            "memory_kib": taken_kib(params, threads),
            "huge_pages_kib": self.all_threads.huge_kib,
            "one_thread": {"fast": rate(self.fast), "plain": rate(self.plain)},
            "all_threads": rate(self.all_threads),
            "fast_by_plain": self.fast.per_second / self.plain.per_second,
            "suggestion": {
                "target_milliseconds": millis(self.target),
                "parameters": cost(self.suggested),
                "memory_kib": taken_kib(self.suggested, threads),
                "all_threads": rate(self.then),
            },
        })
    }
}

fn of(threads: usize) -> String {
    if threads == 1 { "1 thread".to_owned() } else { format!("{threads} threads") }
}

fn mib(kib: u64) -> String {
    format!("{}.{} MiB", kib / 1024, kib % 1024 * 10 / 1024)
}
