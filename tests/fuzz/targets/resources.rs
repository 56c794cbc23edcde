//! `update --resources`: a document becomes writes to files of cgroups, or an error. A file is a name, no path, and
//! what is written is one text.

#![no_main]

use isopod::plan::resources::{self, Otherwise};
use isopod::{json, spec};
use isopod_fuzz::{HOSTS, good, with};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    with(|| {
        let Some(given) = good(json::from_document::<spec::Resources<'_>>("r", data)) else { return };
        for cgroups in &HOSTS {
            let Some(limits) = good(resources::limits(&given, cgroups)) else { continue };
            for write in limits.writes {
                let instead = match write.otherwise {
                    Otherwise::Instead { file, .. } => file,
                    _ => write.file,
                };
                for file in [write.file, instead] {
                    assert!(!file.is_empty() && !file.contains(['/', '\0']) && file != ".." && file != ".", "{file:?}");
                }
                assert!(!write.value.contains('\0'), "{:?}", write.value);
            }
        }
    });
});
