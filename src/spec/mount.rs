//! "Mounts".

use crate::json::{List, object};

object! {
    /// A file system or a piece of one, to be seen at a place in the container.
    pub struct Mount<'a> {
        /// Where, in the container.
        destination: Option<&'a str> = "destination",
        /// A device, a path (relative to the bundle if not absolute), or a dummy.
        source: Option<&'a str> = "source",
        /// As in /proc/filesystems; a dummy for bind mounts.
        kind: Option<&'a str> = "type",
        /// Absent options have defaults that depend on the destination; empty ones have none.
        options: Option<List<'a, &'a str>> = "options",
        uid_mappings: List<'a, IdMapping> = "uidMappings",
        gid_mappings: List<'a, IdMapping> = "gidMappings",
    }
}

object! {
    /// "User namespace mappings": a range of ids inside and the range outside that it stands for.
    pub struct IdMapping {
        /// The first id inside.
        container_id: Option<u32> = "containerID",
        /// The first id outside.
        host_id: Option<u32> = "hostID",
        /// How many.
        size: Option<u32> = "size",
    }
}
