//! What a change at one register plans on a book that has [`SMALL`], and what an older site file says to it afterwards.

use super::tests::{Applied, NOW, SMALL, edited, plan_of, profiles, shown};
use super::*;
use crate::registry;

const NOON: &str = "2026-03-01T12:00:00";

fn retype(at: &str, multiplier: &str) -> RegisterEdit {
    let change = RegisterChange::Retype {
        serial: "E-1".to_owned(),
        multiplier: Ratio::parse(multiplier),
        modulus: None,
        count: None,
    };
    RegisterEdit { at: at.to_owned(), reason: "new transformers".to_owned(), change }
}

fn reset(at: &str, opening: i64) -> RegisterEdit {
    let change = RegisterChange::Reset { serial: "E-1".to_owned(), closing: None, opening };
    RegisterEdit { at: at.to_owned(), reason: "register began anew".to_owned(), change }
}

fn replace(at: &str, edit: impl FnOnce(&mut NewMeter)) -> RegisterEdit {
    let mut new = NewMeter {
        serial: "E-2".to_owned(),
        profile: "acrel-dtsy1352".to_owned(),
        multiplier: Ratio::parse("200/5"),
        ..NewMeter::default()
    };
    edit(&mut new);
    let change = RegisterChange::Replace { place: "hall/E".to_owned(), new, closing: 543_210, opening: 1_230 };
    RegisterEdit { at: at.to_owned(), reason: "display broken".to_owned(), change }
}

impl Applied {
    async fn change(&self, edit: &RegisterEdit) -> Result<Plan, Vec<Fault>> {
        let planned = |registry: &registry::Registry| {
            let profiles = profiles();
            plan_registers(edit, registry, &Checks { profiles: &profiles, policy: &|_| Ok(()) }, NOW)
        };
        let plan = planned(&registry::load(&self.book).await.unwrap())?;
        let mut tx = self.book.begin().await.unwrap();
        write(&mut tx, &plan, NOW, "test").await.unwrap();
        tx.commit().await.unwrap();
        let again = planned(&registry::load(&self.book).await.unwrap());
        let again = again.unwrap_or_else(|faults| panic!("the second time: {}", shown(&faults)));
        assert!(again.is_empty() && again.dirty.is_empty(), "the second time: {again}");
        Ok(plan)
    }
}

async fn small() -> Applied {
    let applied = Applied::new().await;
    applied.apply(SMALL).await.unwrap();
    applied
}

#[tokio::test]
async fn a_change_is_told_in_words_with_its_reason_and_made_twice_changes_nothing() {
    let seam = "2026-03-01 12:00 +01:00";
    for (edit, expected) in [
        (
            retype(NOON, "300/5"),
            format!(
                "- meter E-1: at hall/E until {seam} (new transformers)\n\
                 + meter E-1: at hall/E, x60 from {seam} (new transformers)\n"
            ),
        ),
        (
            reset(NOON, 3),
            format!(
                "- meter E-1: at hall/E until {seam} (register began anew)\n\
                 + meter E-1: at hall/E, x40 from {seam}, opening count 3 (register began anew)\n"
            ),
        ),
        (
            replace("2026-03-01T12:00:00+01:00", |_| {}),
            format!(
                "- meter E-1: at hall/E until {seam}, closing count 543210 (display broken)\n\
                 + meter E-2: electricity, acrel-dtsy1352, 127.0.0.1:1502 unit 1 every 10s (display broken)\n\
                 + meter E-2: at hall/E, x40 from {seam}, opening count 1230 (display broken)\n"
            ),
        ),
    ] {
        let applied = small().await;
        let plan = applied.change(&edit).await.unwrap_or_else(|faults| panic!("{}", shown(&faults)));
        assert_eq!(plan.to_string(), expected);
        assert_eq!(plan.dirty.len(), 1, "the service point is rated anew");
    }
}

#[tokio::test]
async fn what_cannot_be_is_refused_with_its_remedy_and_changes_nothing() {
    let unknown = |edit: RegisterEdit| match edit.change {
        RegisterChange::Reset { closing, opening, .. } => {
            RegisterEdit { change: RegisterChange::Reset { serial: "E-9".to_owned(), closing, opening }, ..edit }
        }
        _ => edit,
    };
    for (edit, expected) in [
        (
            retype("2025-12-31", "60"),
            "meter retype: at: is 2025-12-31 00:00 +01:00, but the installation of E-1 begins at 2026-01-01",
        ),
        (retype("2026-01-01", "60"), "begins at 2026-01-01 00:00 +01:00; give a later moment"),
        (retype("2027-01-01", "60"), "in the future; enter it once it is done"),
        (retype("noon", "60"), "at: is \"noon\", which is no time; write a date-time such as"),
        (retype("2026-03-29T02:30:00", "60"), "does not exist: the clocks skip it"),
        (retype(NOON, "none"), "changes nothing; give --ct"),
        (unknown(reset(NOON, 3)), "meter: \"E-9\" is not in the book"),
        (reset(NOON, 100_000_000), "meter \"E-1\".opening_count: is 100000000, but the register wraps at 100000000"),
        (RegisterEdit { reason: " ".to_owned(), ..reset(NOON, 3) }, "reason: is empty"),
        (
            replace(NOON, |new| new.profile = "abacus".to_owned()),
            "profile: is \"abacus\", which is not a known profile; write one of: acrel-adf400l",
        ),
        (replace(NOON, |new| new.profile = "pulse-gas".to_owned()), "measures gas, but \"hall/E\" is for electricity"),
        // Already primary: multiplied twice is the classic fault.
        (
            replace(NOON, |new| new.profile = "acrel-adf400l".to_owned()),
            "multiplies by 40, but the register of acrel-adf400l is primary already: it would count 40 times too much; leave ct, pt and multiplier out",
        ),
        (
            replace(NOON, |new| new.multiplier = None),
            "ct: is not given, but the old meter's register was multiplied by 40",
        ),
        (replace(NOON, |new| new.serial = "E-1".to_owned()), "new-serial: is \"E-1\", that of the old meter"),
        (replace(NOON, |new| new.serial = "W-1".to_owned()), "new-serial: is \"W-1\", a meter of the book"),
        (
            replace(NOON, |new| new.rating = Some("75".to_owned())),
            "meter \"E-2\".rating: is \"75\"; write a rating such as \"75 kW\"",
        ),
    ] {
        let applied = small().await;
        let faults = applied.change(&edit).await.err().unwrap_or_else(|| panic!("not refused: {expected}"));
        assert!(shown(&faults).contains(expected), "{expected}: {}", shown(&faults));
        let registry = registry::load(&applied.book).await.unwrap();
        assert!(plan_of(SMALL, &registry, NOW).unwrap().is_empty());
    }
}

#[tokio::test]
async fn changes_that_would_overlap_what_came_after_are_refused() {
    let applied = small().await;
    applied.change(&retype("2026-05-01", "60")).await.unwrap();
    for (edit, expected) in [
        (retype("2026-04-01", "50"), "within or before an installation of E-1: another ends or begins at 2026-05-01"),
        (retype("2026-05-01", "50"), "changes multiplier 60 -> 50"),
    ] {
        let faults = applied.change(&edit).await.unwrap_err();
        assert!(shown(&faults).contains(expected), "{expected}: {}", shown(&faults));
    }
    // What was entered before is still the same after later changes.
    applied.change(&retype("2026-06-01", "80")).await.unwrap();
    assert!(applied.change(&retype("2026-05-01", "60")).await.unwrap().is_empty());
    applied.change(&replace("2026-07-01", |_| {})).await.unwrap();
    let mut next = replace("2026-08-01", |new| new.serial = "E-3".to_owned());
    let RegisterChange::Replace { closing, .. } = &mut next.change else { unreachable!() };
    *closing = 9_999;
    applied.change(&next).await.unwrap();
    assert!(applied.change(&replace("2026-07-01", |_| {})).await.unwrap().is_empty());
    let faults = applied.change(&retype("2026-09-01", "50")).await.unwrap_err();
    assert!(shown(&faults).contains("E-1 was taken out at 2026-07-01"), "{}", shown(&faults));
}

#[tokio::test]
async fn an_older_site_file_does_not_undo_a_change_and_an_amended_one_has_nothing_to_change() {
    let ct = "ct = \"200/5\"";
    let meter = "opening_count = 100\nbus";
    let replaced = "until = 2026-03-01T12:00:00\nclosing_count = 543210\nopening_count = 100\nbus";
    let new = "[[meter]]\nserial = \"E-2\"\nprofile = \"acrel-dtsy1352\"\nservice_point = \"hall/E\"\nct = 40\n\
               from = 2026-03-01T12:00:00\nopening_count = 1230\nbus = \"127.0.0.1:1502\"\nunit = 1\npoll = \"10s\"\n\
               [[meter]]\nserial = \"W-1\"";
    for (edit, refused, amended) in [
        (
            retype(NOON, "300/5"),
            "meter \"E-1\".ct: changes multiplier 60 -> 40",
            edited(ct, "ct = \"300/5\"\nfrom = 2026-03-01T12:00:00").replace("opening_count = 100\n", ""),
        ),
        // It states the opening count of the installation before.
        (
            reset(NOON, 3),
            "meter \"E-1\".opening_count: changes opening_count 3 -> 100",
            edited("opening_count = 100", "opening_count = 3\nfrom = 2026-03-01T12:00:00"),
        ),
        (
            replace(NOON, |_| {}),
            "has no [[meter]] \"E-2\", but the book has",
            edited(meter, replaced).replace("[[meter]]\nserial = \"W-1\"", new),
        ),
    ] {
        let applied = small().await;
        applied.change(&edit).await.unwrap();
        let registry = registry::load(&applied.book).await.unwrap();
        let faults = plan_of(SMALL, &registry, NOW).err().unwrap_or_else(|| panic!("not refused: {refused}"));
        assert!(shown(&faults).contains(refused), "{}", shown(&faults));
        let plan = plan_of(&amended, &registry, NOW).unwrap_or_else(|faults| panic!("{}", shown(&faults)));
        assert!(plan.is_empty(), "{plan}");
    }
    // A file that is silent about the opening count has nothing to say against another one.
    let applied = Applied::new().await;
    let silent = edited("opening_count = 100\n", "");
    applied.apply(&silent).await.unwrap();
    applied.change(&reset(NOON, 3)).await.unwrap();
    let plan = plan_of(&silent, &registry::load(&applied.book).await.unwrap(), NOW).unwrap();
    assert!(plan.is_empty(), "{plan}");
}
