use kernel::reading::Contact;

use super::decode::{float_counts, half_even, integer};
use super::plan::Limits;
use super::*;

fn ratio(text: &str) -> Ratio {
    text.parse().unwrap()
}

#[test]
fn every_embedded_profile_decodes_its_own_vectors() {
    for (file, text) in FILES {
        let profile = Profile::parse(text, file).unwrap();
        assert_eq!(format!("{}.toml", profile.name), file);
        assert!(profile.vectors.len() >= 3, "{file}: vectors for a value, a refusal and an instrument or contact");
    }
    assert_eq!(names().count(), FILES.len());
}

#[test]
fn the_worked_example_of_the_water_meter_decodes() {
    let profile = find("xintai-valve-water").unwrap();
    let flow = &profile.instruments[0].register;
    assert_eq!(profile.value(flow, &[0x1E85, 0x0B3F]), Ok(545_000), "0.545 m3/h in ml per hour");
    assert_eq!(profile.count(&[0x1E85, 0x0B3F]), Ok(545), "litres");
}

#[test]
fn integers_follow_their_type_and_word_order() {
    type Case = (&'static [u16], Kind, WordOrder, Result<i64, Refusal>);
    let cases: [Case; 9] = [
        (&[0x0001, 0x86A0], Kind::U32, WordOrder::Big, Ok(100_000)),
        (&[0x86A0, 0x0001], Kind::U32, WordOrder::LittleWord, Ok(100_000)),
        (&[0xA086, 0x0100], Kind::U32, WordOrder::LittleEndian, Ok(100_000)),
        (&[0xFFFF, 0xFFFE], Kind::I32, WordOrder::Big, Ok(-2)),
        (&[0xFFFE], Kind::I16, WordOrder::Big, Ok(-2)),
        (&[0x1234], Kind::U16, WordOrder::LittleEndian, Ok(0x1234)),
        (&[0xFFFF], Kind::U16, WordOrder::Big, Err(Refusal::InvalidCode(0xFFFF))),
        (&[0x0001], Kind::U32, WordOrder::Big, Err(Refusal::WrongLength)),
        (&[], Kind::U16, WordOrder::Big, Err(Refusal::WrongLength)),
    ];
    for (words, kind, order, expected) in cases {
        assert_eq!(integer(words, kind, order, &[0xFFFF]), expected, "{words:04X?} {kind:?} {order:?}");
    }
}

#[test]
fn floats_become_counts_once_half_to_even_and_nothing_else_becomes_a_count() {
    let cases: [(f32, &str, &str, Result<i64, Refusal>); 13] = [
        (0.0, "1000", "10", Ok(0)),
        (-0.0, "1000", "10", Ok(0)),
        (0.125, "1000", "10", Ok(12)), // 12.5
        (0.375, "1000", "10", Ok(38)), // 37.5
        (-0.125, "1000", "10", Ok(-12)),
        (1.0 / 3.0, "3", "1", Ok(1)),               // a little above one third
        (131_072.02, "1000", "10", Ok(13_107_202)), // the float is 131072.015625
        (f32::MIN_POSITIVE, "1000", "1", Ok(0)),
        (f32::from_bits(1), "1000", "1", Ok(0)),
        (f32::MAX, "1000", "1", Err(Refusal::TooLarge)),
        (f32::NAN, "1000", "1", Err(Refusal::NotANumber)),
        (f32::INFINITY, "1000", "1", Err(Refusal::Infinite)),
        (4_503_599_627_370_496.0, "1", "1", Ok(1 << 52)),
    ];
    for (value, scale, resolution, expected) in cases {
        let bits = value.to_bits();
        let words = [u16::try_from(bits >> 16).unwrap(), u16::try_from(bits & 0xFFFF).unwrap()];
        let counts = float_counts(&words, WordOrder::Big, ratio(scale), ratio(resolution));
        assert_eq!(counts, expected, "{value} x {scale} / {resolution}");
    }
}

#[test]
fn halves_go_to_the_even_neighbour_on_both_sides_of_zero() {
    for (a, b, expected) in [(5, 2, 2), (7, 2, 4), (-5, 2, -2), (-7, 2, -4), (8, 3, 3), (-8, 3, -3), (7, 3, 2)] {
        assert_eq!(half_even(a, b), expected, "{a} / {b}");
    }
}

#[test]
fn a_float_is_exact_below_the_count_that_the_profile_states() {
    for name in ["eastron-sdm630", "chint-dtsu666", "xintai-valve-water"] {
        let billing = &find(name).unwrap().billing;
        let limit = billing.float_exact_below.unwrap();
        let (scale, resolution) = (billing.register.scale, billing.resolution);
        let per_unit = scale.numerator * resolution.denominator / (resolution.numerator * scale.denominator);
        let start = f32::from(u16::try_from((limit / per_unit) >> 8).unwrap()) * 256.0;
        let counts = |value: f32| {
            let bits = value.to_bits();
            let words = [u16::try_from(bits >> 16).unwrap(), u16::try_from(bits & 0xFFFF).unwrap()];
            float_counts(&words, WordOrder::Big, scale, resolution).unwrap()
        };
        assert_eq!(counts(start), limit, "{name}");
        assert!(counts(start.next_down()) >= limit - 1, "{name}: one step below is at most one count");
        assert!(counts(start.next_up().next_up()) > limit + 2, "{name}: above it steps are longer than a count");
    }
}

#[test]
fn a_cumulative_register_is_neither_negative_nor_beyond_its_modulus() {
    let sdm = find("eastron-sdm630").unwrap();
    assert_eq!(sdm.count(&[0xBF80, 0x0000]), Err(Refusal::Negative));
    let small = PROFILE.replace("modulus = 4_294_967_296", "modulus = 100_000_000");
    let profile = Profile::parse(&small, "test").unwrap();
    assert_eq!(profile.count(&[0x05F5, 0xE100]), Err(Refusal::TooLarge), "100,000,000");
    assert_eq!(profile.count(&[0x05F5, 0xE0FF]), Ok(99_999_999));
}

#[test]
fn a_signed_register_may_be_below_zero() {
    let signed =
        PROFILE.replace("modulus = 4_294_967_296", "signed = true").replacen("type = \"u32\"", "type = \"i32\"", 1);
    let profile = Profile::parse(&signed, "test").unwrap();
    assert_eq!(profile.count(&[0xFFFF, 0xFF9C]), Ok(-100));
    assert!(profile.facts().signed && !find("acrel-dtsy1352").unwrap().facts().signed);
}

#[test]
fn near_registers_are_read_together_and_far_ones_are_not() {
    let span = |start, words| Span { start, words };
    let limits = Limits { gap_words: 4, request_words: 125 };
    let cases: [(Span, Vec<Span>, Vec<Span>); 6] = [
        (span(0, 2), vec![], vec![span(0, 2)]),
        (span(6, 2), vec![span(0, 1), span(1, 1), span(2, 1)], vec![span(0, 8)]),
        (span(0, 2), vec![span(6, 2)], vec![span(0, 8)]),
        (span(0, 2), vec![span(7, 2)], vec![span(0, 2), span(7, 2)]),
        (span(300, 2), vec![span(0, 2), span(301, 1)], vec![span(300, 2), span(0, 2)]),
        (span(120, 2), vec![span(0, 120), span(122, 8)], vec![span(0, 122), span(122, 8)]),
    ];
    for (billing, others, expected) in cases {
        let plan = ReadPlan::new(billing, &others, limits);
        let read: Vec<Span> = [plan.billing].into_iter().chain(plan.others).collect();
        assert_eq!(read, expected, "{billing:?} with {others:?}");
    }
    let sdm = find("eastron-sdm630").unwrap();
    let requests: Vec<Span> = [sdm.plan.billing].into_iter().chain(sdm.plan.others.clone()).collect();
    assert_eq!(requests, [span(0x34, 0x16), span(0x00, 8)], "power, power factor and energy in one request");
}

#[test]
fn an_open_valve_supplies_and_an_open_relay_interrupts() {
    let valve = find("xintai-valve-water").unwrap().relay.clone().unwrap();
    let relay = find("acrel-dtsy1352").unwrap().relay.clone().unwrap();
    assert_eq!(valve.words(Contact::Closed), [1]);
    assert_eq!(relay.words(Contact::Open), [1, 1]);
    assert_eq!(relay.read_back.contact(&[0, 0]), None, "never forced: unknown");
}

#[test]
fn facts_carry_the_resolution_and_the_relay() {
    let facts = find("acrel-adf400l").unwrap().facts();
    assert_eq!((facts.resolution_numerator, facts.resolution_denominator), (10, 1));
    assert!(facts.has_relay && facts.primary);
    assert_eq!(facts.modulus, Some(1 << 32));
    assert!(!find("chint-dtsu666").unwrap().facts().has_relay);
}

/// A hundredth of a GJ is 25000/9 Wh. What a profile says of its vectors is in counts, whatever their unit.
#[test]
fn registers_of_heat_count_in_megawatt_hours_or_gigajoules() {
    let heat = PROFILE.replace("utility = \"electricity\"", "utility = \"heat\"");
    for (unit, resolution) in [("kWh", (10, 1)), ("MWh", (10_000, 1)), ("GJ", (25_000, 9))] {
        let text = heat.replacen("resolution = \"10\"", &format!("resolution = \"10\"\nunit = {unit:?}"), 1);
        let facts = Profile::parse(&text, "heat.toml").unwrap_or_else(|error| panic!("{error}")).facts();
        assert_eq!((facts.resolution_numerator, facts.resolution_denominator), resolution, "{unit}");
    }
}

#[test]
fn an_unknown_profile_is_answered_with_the_known_ones() {
    let error = find("acrel-adf400").unwrap_err().to_string();
    assert!(error.contains("acrel-adf400l") && error.contains("xintai-valve-water"), "{error}");
}

const PROFILE: &str = include_str!("../../profiles/acrel-dtsy1352.toml");

#[test]
fn a_profile_that_contradicts_itself_is_refused_with_the_key() {
    let cases = [
        ("read_function = 3", "read_function = 5", "read_function"),
        ("utility = \"electricity\"", "utility = \"steam\"", "utility"),
        ("resolution = \"10\"", "resolution = \"0\"", "positive rational"),
        ("modulus = 4_294_967_296", "modulus = 4_294_967_296\nfloat_exact_below = 5", "float_exact_below"),
        ("modulus = 4_294_967_296", "module = 7", "module"),
        ("modulus = 4_294_967_296", "unit = \"GJ\"", "billing.unit"),
        ("modulus = 4_294_967_296", "unit = \"m3\"", "billing.unit"),
        ("modulus = 4_294_967_296", "signed = true", "billing.signed"),
        ("supply = [0x0001, 0x0000]", "supply = [0x0001, 0x0001]", "relay.supply"),
        ("supply = [0x0001, 0x0000]", "supply = [0x0001, 0x0002]", "relay.read_back"),
        ("write_function = 16", "write_function = 6", "relay.interrupt"),
        ("value = 100_000", "value = 100_001", "vector of total_energy"),
        ("register = \"contact\"", "register = \"relay\"", "no such register"),
        ("max_rate = 57_600", "max_rate = 0", "max_rate"),
    ];
    for (from, to, expected) in cases {
        let text = PROFILE.replacen(from, to, 1);
        assert_ne!(text, PROFILE, "{from}");
        let error = Profile::parse(&text, "test.toml").unwrap_err().to_string();
        assert!(error.contains(expected) && error.contains("test.toml"), "{to}: {error}");
    }
}
