//! The kernel against an independent bill: NREL SAM's Utilityrate5 and its restatement in plain floating point
//! (`data/oracle/README.md` among the shared data). Both loads under all three rates agree to 1e-6 before rounding, by
//! month, band and tier. Passed over, visibly, where the shared data are not beside the checkout.
//!
//! The oracle's year has 8,760 hours of local standard time and begins on a Monday, as 2007 and 2018 do.

mod files;
mod kernel_bill;
mod plain_bill;

use files::{Load, Rate, Results};

/// The most by which exact and floating bills may differ, in currency or kWh.
const CLOSE: f64 = 1e-6;
/// The same where the results give four places only.
const CLOSE_TO_FOUR_PLACES: f64 = 0.000_05 + CLOSE;

const HUBEI: &str = "hubei_two_part_2026_01";
const GUANGDONG: &str = "guangdong_residential";
const SAM: &str = "sam_sample_2tier_2tou";
const UCI: (&str, i32) = ("load_uci_household_2007.csv", 2007);
const CAMBRIDGE: (&str, i32) = ("load_cambridge_b0-E_2018.csv", 2018);

fn assert_close(found: f64, expected: f64, most: f64, place: &str) {
    assert!((found - expected).abs() <= most, "{place}: {found} is not {expected}");
}

#[test]
fn both_loads_under_all_rates_agree_with_the_plain_restatement_by_month_band_and_tier() {
    for (load, year) in [UCI, CAMBRIDGE] {
        for rate in [HUBEI, GUANGDONG, SAM] {
            let (Some(load), Some(rate)) = (Load::read(load, year), Rate::read(rate)) else { return };
            let (exact, plain) = (kernel_bill::year(&load, &rate), plain_bill::year(&load, &rate));
            for (month, (exact, plain)) in exact.iter().zip(&plain).enumerate() {
                let place = format!("{} under {}, month {}", load.name, rate.name, month + 1);
                assert_close(exact.energy, plain.energy, CLOSE, &place);
                assert_close(exact.peak_kw, plain.peak_kw, CLOSE, &place);
                let keys: Vec<_> = exact.kwh.keys().chain(plain.kwh.keys()).collect();
                for key in keys {
                    let of = |bill: &files::Month| bill.kwh.get(key).copied().unwrap_or(0.0);
                    assert_close(of(exact), of(plain), CLOSE, &format!("{place}, period and tier {key:?}"));
                }
            }
        }
    }
}

#[test]
fn hubei_with_demand_agrees_with_sam_by_month_and_band() {
    let (Some(load), Some(rate)) = (Load::read(CAMBRIDGE.0, CAMBRIDGE.1), Rate::read(HUBEI)) else { return };
    let results = Results::read("b0-E_2018__hubei_two_part_2026_01");
    let exact = kernel_bill::year(&load, &rate);
    for (month, exact) in exact.iter().enumerate() {
        let place = format!("month {}", month + 1);
        assert_close(exact.energy, results.sam("energy")[month], CLOSE, &place);
        assert_close(exact.demand, results.sam("demand_flat")[month], CLOSE, &place);
        assert_close(exact.peak_kw, results.sam("peak_kw")[month], CLOSE, &place);
        assert_close(exact.energy + exact.demand, results.sam("total")[month], CLOSE, &place);
        assert_close(exact.kwh.values().sum(), results.sam("kwh")[month], CLOSE, &place);
        for (period, tier, kwh) in results.by_period_and_tier(month) {
            let found = exact.kwh.get(&(period, tier)).copied().unwrap_or(0.0);
            assert_close(found, kwh, CLOSE, &format!("{place}, period {period}, tier {tier}"));
        }
    }
    let total: f64 = exact.iter().map(|month| month.energy + month.demand).sum();
    assert_close(total, results.number("year_total"), CLOSE, "year");
}

#[test]
fn tiers_filled_in_the_order_of_time_agree_with_sams_net_billing() {
    for (rate, name) in [(GUANGDONG, "uci_2007__guangdong_residential"), (SAM, "uci_2007__sam_sample_2tier_2tou")] {
        let (Some(load), Some(rate)) = (Load::read(UCI.0, UCI.1), Rate::read(rate)) else { return };
        let results = Results::read(&format!("{name}__chronological"));
        let exact = kernel_bill::year(&load, &rate);
        for (month, exact) in exact.iter().enumerate() {
            let place = format!("{name}, month {}", month + 1);
            assert_close(exact.energy, results.list("energy")[month], CLOSE_TO_FOUR_PLACES, &place);
        }
        let total: f64 = exact.iter().map(|month| month.energy).sum();
        assert_close(total, results.number("year_total"), CLOSE, name);
        let kwh: f64 = exact.iter().flat_map(|month| month.kwh.values()).sum();
        assert_close(kwh, results.number("year_kwh"), CLOSE, name);
    }
}

/// Net metering shares each tier among the periods: the same bill where a tier adds the same to each period's price, and
/// 0.00005 USD a year apart where it does not, as the oracle's notes say.
#[test]
fn tiers_shared_among_periods_are_the_same_bill_only_where_a_tiers_surcharge_is_the_same_in_all() {
    for (rate, name, apart) in [
        (GUANGDONG, "uci_2007__guangdong_residential", 0.0),
        (SAM, "uci_2007__sam_sample_2tier_2tou", 0.000_049_330_528),
    ] {
        let (Some(load), Some(rate)) = (Load::read(UCI.0, UCI.1), Rate::read(rate)) else { return };
        let total: f64 = kernel_bill::year(&load, &rate).iter().map(|month| month.energy).sum();
        let results = Results::read(&format!("{name}__proportional"));
        assert_close(total - apart, results.number("year_total"), CLOSE, name);
    }
}
