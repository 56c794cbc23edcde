//! D-Bus: a message of somebody else's is read within its bounds; a value that people write is sent as what it is, in a
//! message that can be read again. An input is both.

#![no_main]

use isopod::dbus::wire::{self, Call, Output};
use isopod::dbus::{Value, text};
use isopod_fuzz::{with, with_text};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    with(|| {
        if let Some(length) = wire::length(data) {
            assert!((wire::HEAD..=1 << 27).contains(&length));
        }
        if let Some(message) = wire::parse(data) {
            // Whatever it says, and whatever is asked of it.
            let mut body = message.body;
            while body.string().is_some() || body.u32().is_some() {}
            let mut body = message.body;
            while body.variant_string().is_some() {}
        }
    });
    with_text(data, |text| {
        let Some(value) = text::parse(text) else { return };
        // As a property has it.
        let arguments = [Value::Variant(&value), Value::string("end")];
        let call = Call {
            destination: "org.example",
            path: "/a",
            interface: "org.example.A",
            member: "B",
            arguments: &arguments,
        };
        let signature = wire::signatures(&arguments);
        assert!(!signature.is_empty() && signature.is_ascii(), "{signature:?}");
        let mut output = Output::new();
        output.call(7, &call);
        let bytes = output.finish();
        assert_eq!(wire::length(bytes), Some(bytes.len()));
        let message = wire::parse(bytes).expect("our own message");
        assert_eq!((message.member, message.signature), ("B", signature));
        assert!(value.to_string().len() < 1 << 24);
    });
});
