//! What happens to a book that has [`SMALL`] when the file is edited.

use kernel::time::Moment;

use super::Fault;
use super::tests::{Applied, NOW, SMALL, edited, shown};
use crate::registry::{self, Registry};

const FROM: i64 = 1_767_222_000_000_000; // 2026-01-01T00:00:00+01:00
const MARCH: i64 = 1_772_319_600_000_000; // 2026-03-01T00:00:00+01:00

async fn change(text: &str) -> (Result<(String, Vec<(u32, i64)>), Vec<Fault>>, std::sync::Arc<Registry>) {
    let applied = Applied::new().await;
    applied.apply(SMALL).await.unwrap();
    let plan = applied.apply(text).await;
    let result = plan.map(|plan| {
        let dirty = plan.dirty.iter().map(|(point, from)| (point.0, from.0)).collect();
        (plan.to_string(), dirty)
    });
    (result, registry::load(&applied.book).await.unwrap())
}

#[tokio::test]
async fn a_change_is_told_in_words_and_marks_what_must_be_rated_anew() {
    let ct = "ct = \"200/5\"";
    for (old, new, expected, dirty) in [
        // Nothing that a charge depends on.
        (
            "holder = \"Smith & Sons\"",
            "holder = \"Smith\"",
            "~ account smith: holder \"Smith & Sons\" -> \"Smith\"\n",
            vec![],
        ),
        ("credit_limit = \"50.00\"", "credit_limit = 0", "~ account smith: credit_limit 50.00 -> 0.00\n", vec![]),
        (
            "unit = 1",
            "unit = 7",
            "~ meter E-1: read at 127.0.0.1:1502 unit 1 every 10s -> 127.0.0.1:1502 unit 7 every 10s\n",
            vec![],
        ),
        // What is plausible decides what is billed, whenever a late reading has it judged again.
        (
            "rating = \"75 kW\"",
            "rating = \"90 kW\"",
            "~ meter E-1: rating 75000 W -> 90000 W\n~ meter E-1: most flow 75.000 kW -> 90.000 kW\n",
            vec![(1, FROM)],
        ),
        ("title = \"Hall 1\"", "title = \"Hall One\"", "~ location hall: title \"Hall 1\" -> \"Hall One\"\n", vec![]),
        (
            "calendar = \"de\"\n",
            "calendar = \"de\"\nmode = \"auto\"\n",
            "~ site yard: mode \"shadow\" -> \"auto\"\n",
            vec![],
        ),
        ("2026-12-26]", "2026-12-26, 2027-01-01]", "~ calendar de: 2027-01-01 holiday\n", vec![]),
        // A CT change: the old installation ends, another begins.
        (
            ct,
            "ct = \"300/5\"\nfrom = 2026-03-01\nprevious_closing_count = 5100",
            "- meter E-1: at hall/E until 2026-03-01 00:00 +01:00, closing count 5100\n\
             + meter E-1: at hall/E, x60 from 2026-03-01 00:00 +01:00, opening count 100\n",
            vec![(1, MARCH)],
        ),
        // It was always so.
        (
            ct,
            "ct = \"300/5\"\ncorrect = true\nreason = \"read wrongly off the plate\"",
            "! meter E-1: at hall/E, x60 from 2026-01-01 00:00 +01:00, opening count 100 (read wrongly off the plate)\n",
            vec![(1, FROM)],
        ),
        // The meter is taken out.
        (
            ct,
            "ct = \"200/5\"\nuntil = 2026-03-01\nclosing_count = 777",
            "- meter E-1: at hall/E until 2026-03-01 00:00 +01:00, closing count 777\n",
            vec![(1, MARCH)],
        ),
        // The tenant changes at noon.
        (
            "location = \"hall\"\naccount = \"smith\"\ntariff = \"power\"",
            "location = \"hall\"\naccount = \"jones\"\ntariff = \"power\"\nfrom = 2026-03-01T12:00:00",
            "- service point hall/E: smith pays until 2026-03-01 12:00 +01:00\n\
             + service point hall/E: jones pays by tariff power from 2026-03-01 12:00 +01:00\n",
            vec![(1, MARCH + 12 * 3_600_000_000)],
        ),
        // A new price from an instant, past and future.
        (
            "price = \"2.10\"",
            "price = \"2.10\"\n[[tariff.version]]\nvalid_from = 2026-03-01\nprice = \"2.20\"",
            "+ tariff water from 2026-03-01 00:00 +01:00: published, 2.20\n",
            vec![(2, MARCH)],
        ),
        (
            "price = \"2.10\"",
            "price = \"2.10\"\n[[tariff.version]]\nvalid_from = 2027-01-01\nprice = \"2.20\"",
            "+ tariff water from 2027-01-01 00:00 +01:00: published, 2.20\n",
            vec![],
        ),
        (
            "price = \"2.10\"",
            "price = \"2.01\"\ncorrect = true\nreason = \"digits swapped\"",
            "! tariff water from 2026-01-01 00:00 +01:00: prices 2.10 -> 2.01 (digits swapped)\n",
            vec![(2, FROM)],
        ),
        (
            "holidays = [2026-12-25,",
            "correct = true\nreason = \"was forgotten\"\nholidays = [2026-03-01, 2026-12-25,",
            "! calendar de: 2026-03-01 holiday (was forgotten)\n",
            vec![(1, MARCH), (2, MARCH)],
        ),
    ] {
        let (result, _) = change(&edited(old, new)).await;
        let (text, found) = result.unwrap_or_else(|faults| panic!("{new}: {}", shown(&faults)));
        assert!(text.starts_with(expected), "{new}: {text}");
        assert_eq!(found, dirty, "{new}");
    }
}

#[tokio::test]
async fn a_change_that_does_not_say_from_when_is_refused_and_changes_nothing() {
    for (old, new, expected) in [
        (
            "ct = \"200/5\"",
            "ct = \"300/5\"",
            "site.toml:74: meter \"E-1\".ct: changes multiplier 40 -> 60; write `from = ...`",
        ),
        (
            "profile = \"acrel-dtsy1352\"",
            "profile = \"chint-dtsu666\"",
            "meter \"E-1\".profile: changes profile \"acrel-dtsy1352\" -> \"chint-dtsu666\"",
        ),
        (
            "opening_count = 100",
            "opening_count = 100\nmodulus = 1000000",
            "meter \"E-1\".modulus: changes modulus 100000000 -> 1000000",
        ),
        (
            "account = \"smith\"\ntariff = \"water\"",
            "account = \"jones\"\ntariff = \"water\"",
            "service_point \"hall/W\".account: changes account smith -> jones",
        ),
        (
            "price = \"2.10\"",
            "price = \"2.20\"",
            "changes a published version (prices 2.10 -> 2.20); add a [[tariff.version]]",
        ),
        (
            "price = \"2.10\"",
            "price = \"2.10\"\nreverse = \"credit\"",
            "changes a published version (reverse ignore -> credit); add a [[tariff.version]]",
        ),
        (
            "valid_from = 2026-01-01\nprice = \"2.10\"",
            "valid_from = 2026-02-01\nprice = \"2.10\"",
            "lacks the version valid from 2026-01-01 00:00 +01:00, which is published; keep it",
        ),
        (
            "holidays = [2026-12-25,",
            "holidays = [2026-03-01, 2026-12-25,",
            "changes what kind of day 2026-03-01 was in yard",
        ),
        (
            "\n[[account]]\nname = \"jones\"\nprotected = \"cold chain\"\n",
            "",
            "site \"yard\": has no [[account]] \"jones\", but the book has; keep it in the file; write `until = ...`",
        ),
        (
            "\n[[meter]]\nserial = \"W-1\"\nkind = \"usage\"\nservice_point = \"hall/W\"\n",
            "",
            "has no [[meter]] \"W-1\", but the book has",
        ),
        (
            "currency = \"EUR\"",
            "currency = \"CHF\"",
            "site \"yard\".currency: is \"CHF\", but the site was opened with \"EUR\"",
        ),
        (
            "ct = \"200/5\"",
            "ct = \"300/5\"\nfrom = 2025-03-01",
            "meter \"E-1\".from: begins before or within what the book has from 2026-01-01",
        ),
        (
            "policy = \"standard\"",
            "until = 2026-06-01\npolicy = \"standard\"",
            "pays after account \"smith\" is closed; write `until` here too",
        ),
    ] {
        let (result, registry) = change(&edited(old, new)).await;
        let text = shown(&result.expect_err(new));
        assert!(text.contains(expected), "{new}: {text}");
        let meter = registry.meter_by_serial("E-1").unwrap();
        assert_eq!(registry.epoch_at(meter.id, NOW).unwrap().numerator, 400);
    }
}

#[tokio::test]
async fn after_a_ct_change_both_installations_have_their_counts() {
    let text = edited("ct = \"200/5\"", "ct = \"300/5\"\nfrom = 2026-03-01\nprevious_closing_count = 5100");
    let (_, registry) = change(&text).await;
    let meter = registry.meter_by_serial("E-1").unwrap().id;
    let epochs: Vec<_> = registry
        .epochs_of(meter)
        .map(|epoch| (epoch.valid_from.0, epoch.valid_to, epoch.numerator, epoch.opening_count, epoch.closing_count))
        .collect();
    let expected = [(FROM, Some(Moment(MARCH)), 400, Some(100), Some(5_100)), (MARCH, None, 600, Some(100), None)];
    assert_eq!(epochs, expected);
}

#[tokio::test]
async fn a_whole_history_can_be_told_at_once() {
    let text = edited("service_point = \"hall/E\"\nct = \"200/5\"\nrating = \"75 kW\"\nopening_count = 100\n", "");
    let text = text.replace(
        "poll = \"10s\"\n",
        "poll = \"10s\"\n[[meter.installation]]\nservice_point = \"hall/E\"\nct = 40\nopening_count = 0\n\
         [[meter.installation]]\nservice_point = \"hall/E\"\nct = 60\nfrom = 2026-03-01\nopening_count = 9\n\
         previous_closing_count = 8\n",
    );
    let applied = Applied::new().await;
    applied.apply(&text).await.unwrap_or_else(|faults| panic!("{}", shown(&faults)));
    let registry = registry::load(&applied.book).await.unwrap();
    let meter = registry.meter_by_serial("E-1").unwrap().id;
    let epochs: Vec<_> =
        registry.epochs_of(meter).map(|epoch| (epoch.valid_from.0, epoch.opening_count, epoch.closing_count)).collect();
    assert_eq!(epochs, [(FROM, Some(0), Some(8)), (MARCH, Some(9), None)]);
}

#[tokio::test]
async fn a_tenant_leaves_and_the_next_one_pays_from_that_moment() {
    let text = edited(
        "account = \"smith\"\ntariff = \"water\"\n",
        "[[service_point.contract]]\naccount = \"smith\"\ntariff = \"water\"\n\
         [[service_point.contract]]\naccount = \"jones\"\ntariff = \"water\"\nfrom = 2026-03-01\n",
    );
    // The second service point of the tenant who leaves is vacant from then on.
    let text = text
        .replace(
            "account = \"smith\"\ntariff = \"power\"",
            "account = \"smith\"\ntariff = \"power\"\nuntil = 2026-03-01",
        )
        .replace("policy = \"standard\"", "policy = \"standard\"\nuntil = 2026-03-01");
    let applied = Applied::new().await;
    applied.apply(&text).await.unwrap_or_else(|faults| panic!("{}", shown(&faults)));
    let registry = registry::load(&applied.book).await.unwrap();
    let payer = |point: &str, at: i64| {
        let point = registry.service_point_named(point).unwrap().id;
        registry.payer_at(point, Moment(at)).map(|account| account.name.as_str())
    };
    assert_eq!((payer("hall/W", MARCH - 1), payer("hall/W", MARCH)), (Some("smith"), Some("jones")));
    assert_eq!((payer("hall/E", MARCH - 1), payer("hall/E", MARCH)), (Some("smith"), None));
    assert_eq!(payer("hall/W", FROM - 1), None);
}

#[tokio::test]
async fn a_meters_parent_is_told_kept_and_taken_back() {
    let more = "\n[[service_point]]\nname = \"hall/E2\"\nutility = \"electricity\"\n\
                [[meter]]\nserial = \"E-2\"\nkind = \"usage\"\nservice_point = \"hall/E2\"\nparent = \"E-1\"\n";
    let (with, without) = (format!("{SMALL}{more}"), format!("{SMALL}{}", more.replace("parent = \"E-1\"\n", "")));
    let applied = Applied::new().await;
    let plan = applied.apply(&with).await.unwrap().to_string();
    assert!(plan.contains("~ meter E-2: parent none -> E-1\n"), "{plan}");
    let registry = registry::load(&applied.book).await.unwrap();
    let meter = |serial| registry.meter_by_serial(serial).unwrap();
    assert_eq!(meter("E-2").parent, Some(meter("E-1").id));
    assert!(applied.apply(&with).await.unwrap().is_empty());
    assert_eq!(applied.apply(&without).await.unwrap().to_string(), "~ meter E-2: parent E-1 -> none\n");
    assert_eq!(registry::load(&applied.book).await.unwrap().meter_by_serial("E-2").unwrap().parent, None);
}
