//! Whatever people, thieves and operators do in whatever order, the server agrees with a plain model of
//! what a session is: a few times, a list of refresh tokens, and whether it was ended.

mod model;
mod world;

use model::{ACCESS, DAY, IDLE, SECOND, WINDOW};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use std::cell::Cell;
use world::World;

/// What happens next. Numbers choose among what there is, counted from the latest.
#[derive(Clone, Debug)]
enum Step {
    LogIn {
        person: usize,
        rightly: bool,
    },
    /// `back` 0 is the present token, 1 the last that was spent.
    Refresh {
        session: usize,
        back: usize,
        asked: Asked,
    },
    Revoke {
        session: usize,
        back: usize,
    },
    LogOut {
        session: usize,
    },
    EndOthers {
        session: usize,
        all: bool,
    },
    EndOne {
        session: usize,
        other: usize,
    },
    ChangePassword {
        session: usize,
        rightly: bool,
        keep: bool,
    },
    Delete {
        session: usize,
    },
    SetDisabled {
        person: usize,
        disabled: bool,
    },
    Pass {
        micros: i64,
    },
    Restart,
}

/// Which scope a refresh asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    /// All that was granted.
    All,
    /// Less.
    Reading,
    /// One that there is not.
    Nonsense,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let (session, back, person) =
        (0..12_usize, prop_oneof![3 => Just(0), 3 => Just(1), 1 => 2..5_usize], 0..2_usize);
    let often = prop::bool::weighted(0.8);
    let asked = prop_oneof![8 => Just(Asked::All), 1 => Just(Asked::Reading), 1 => Just(Asked::Nonsense)];
    let pause = prop_oneof![
        6 => 0..=12 * SECOND,
        2 => Just(WINDOW),
        2 => Just(WINDOW + 1),
        2 => SECOND..2 * ACCESS,
        1 => Just(ACCESS),
        1 => DAY..31 * DAY,
        1 => Just(IDLE),
        1 => Just(IDLE - SECOND),
    ];
    let step = prop_oneof![
        6 => (person.clone(), often).prop_map(|(person, rightly)| Step::LogIn { person, rightly }),
        24 => (session.clone(), back.clone(), asked)
            .prop_map(|(session, back, asked)| Step::Refresh { session, back, asked }),
        1 => (session.clone(), back).prop_map(|(session, back)| Step::Revoke { session, back }),
        2 => session.clone().prop_map(|session| Step::LogOut { session }),
        1 => (session.clone(), any::<bool>()).prop_map(|(session, all)| Step::EndOthers { session, all }),
        2 => (session.clone(), session.clone()).prop_map(|(session, other)| Step::EndOne { session, other }),
        2 => (session.clone(), often, any::<bool>())
            .prop_map(|(session, rightly, keep)| Step::ChangePassword { session, rightly, keep }),
        1 => session.prop_map(|session| Step::Delete { session }),
        1 => person.clone().prop_map(|person| Step::SetDisabled { person, disabled: true }),
        1 => person.prop_map(|person| Step::SetDisabled { person, disabled: false }),
        12 => pause.prop_map(|micros| Step::Pass { micros }),
        1 => Just(Step::Restart),
    ];
    proptest::collection::vec(step, 1..40)
}

#[test]
fn checklist_39_to_51_the_server_agrees_with_a_plain_model() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let config =
        ProptestConfig { cases: 80, max_shrink_iters: 300, failure_persistence: None, ..Default::default() };
    // Starting a server makes a key, so one serves all cases; it is missing after a panic.
    let (kept, cases) = (Cell::new(None), Cell::new(0));
    let outcome = TestRunner::new(config).run(&steps(), |steps| {
        cases.set(cases.get() + 1);
        let (world, result) = runtime.block_on(async {
            let world = match kept.take() {
                Some(world) => world,
                None => World::begin().await,
            };
            world.run(cases.get(), &steps).await
        });
        kept.set(Some(world));
        result
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}
