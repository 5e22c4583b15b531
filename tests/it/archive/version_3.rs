//! The first folders of layout version 3 stay readable: opened, restored, and read again with their draws as they were.

use super::again;
use isobole::archive::Archive;
use isobole::report::files;
use std::path::Path;

#[test]
fn it_is_restored_and_its_draws_stand() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/archive-v3");
    let archive = Archive::open(&dir).unwrap();
    assert_eq!((archive.record.schema_version.as_str(), archive.has_stages()), ("3", true));
    let restored = archive.restore(true).unwrap();
    let (plates, curves) = (restored.plates.unwrap(), restored.curves.unwrap());
    let counts = &archive.record.counts;
    assert_eq!(restored.screen.wells.len() + restored.screen.rejected.len(), counts.wells_in);
    assert_eq!(
        (plates.wells.len(), plates.rejected.len(), curves.fits.len()),
        (counts.wells_used, counts.wells_rejected, counts.curves)
    );
    assert!(counts.wells_used > 200 && counts.curves >= 4, "{counts:?}");

    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("again");
    let (rescored, begun) = again(&dir, &out, "");
    assert_eq!((rescored.kept.drawn, rescored.kept.drawn_anew), (archive.settings.synergy.clone(), Vec::new()));
    assert!(!begun.contains(&"intervals".into()) && !begun.contains(&"curves".into()), "{begun:?}");
    let [old, new] = [&dir, &out].map(|dir| files::read(&dir.join("synergy.parquet")).unwrap());
    for column in ["se_bliss", "df_bliss", "p_loewe", "ci_low_zip", "max_r_p_hsa"] {
        let numbers = |table: &isobole::report::table::Table| {
            let values = table.column(column).unwrap();
            (0..values.len()).map(|row| values.number(row)).collect::<Vec<_>>()
        };
        assert_eq!(numbers(&old), numbers(&new), "{column}");
        assert!(column == "max_r_p_hsa" || numbers(&old).iter().all(Option::is_some), "{column}");
    }
}
