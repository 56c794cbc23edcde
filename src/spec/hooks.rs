//! "POSIX-platform Hooks": programs to run at points of the container's life.

use crate::json::{List, object};

object! {
    /// What to run at each point, in this order.
    pub struct Hooks<'a> {
        /// Deprecated; runs just before `createRuntime`.
        prestart: List<'a, Hook<'a>> = "prestart",
        create_runtime: List<'a, Hook<'a>> = "createRuntime",
        create_container: List<'a, Hook<'a>> = "createContainer",
        start_container: List<'a, Hook<'a>> = "startContainer",
        poststart: List<'a, Hook<'a>> = "poststart",
        poststop: List<'a, Hook<'a>> = "poststop",
    }
}

object! {
    /// One program.
    pub struct Hook<'a> {
        path: Option<&'a str> = "path",
        /// The argument vector with its first word; absent is the path alone.
        args: Option<List<'a, &'a str>> = "args",
        /// Absent and empty may differ: runtimes hand on their own environment if it is absent.
        env: Option<List<'a, &'a str>> = "env",
        /// Seconds.
        timeout: Option<i64> = "timeout",
    }
}
