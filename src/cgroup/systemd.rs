//! systemd makes the cgroup: as that of a unit of its own, a scope, which it then neither changes nor removes behind our
//! back, and whose use and limits its tools show.
//!
//! A scope exists as long as there is a process in it, and there has to be one when it is made. That is not init,
//! which would have to be moved by somebody else then, at the price of the lock that `cgroup.rs` tells of, and could
//! only be born when systemd is done. It is a small process of ours, the keeper, that does nothing: it is handed to
//! systemd while the runtime opens what the container needs, init is born into the cgroup as into any other, and when
//! init is ready the keeper ends. If the runtime dies, so does the keeper, and with it the scope.
//!
//! One connection makes the scope and one ends it; every other verb finds the container by its cgroup.

use super::{Cgroup, Cgroups, Context, Error, Result};
use crate::dbus::bus::Address;
use crate::dbus::{Bus, Call, Refusal, Value};
use crate::debug;
use crate::error::Quoted;
use crate::host;
use crate::plan::systemd::{Owner, Property, Unit, slice_path};
use crate::sys::memory::{self, Growing};
use crate::sys::process::{self, Clone};
use crate::sys::start::Start;
use crate::sys::{self, AsFd, CWD, OwnedFd, fd, file, shown, utf8};

/// How long systemd may take for one thing that we ask of it, in milliseconds. It is busy for long when it
/// reloads thousands of units.
const PATIENCE: u32 = 30_000;

/// How many properties systemd may not know.
const UNKNOWN: usize = 32;

/// A unit that is being made, or was made for a container that is not complete. Dropped, it is undone.
pub struct Scope<'a> {
    unit: &'a Unit<'a>,
    bus: Bus,
    keeper: Option<(i32, OwnedFd)>,
    /// The call that is not answered yet.
    asked: u32,
    /// The cgroup that the keeper has gone to, and that is to be removed.
    aside: Option<&'static core::ffi::CStr>,
    exists: bool,
}

/// systemd's manager, as somebody to be called.
const MANAGER: Call<'static> = Call {
    destination: "org.freedesktop.systemd1",
    path: "/org/freedesktop/systemd1",
    interface: "org.freedesktop.systemd1.Manager",
    member: "",
    arguments: &[],
};

impl<'a> Scope<'a> {
    /// Asks systemd for the unit, and does not wait.
    ///
    /// # Errors
    /// There is no systemd; the kernel's.
    pub fn ask(start: &Start, owner: Owner, unit: &'a Unit<'a>) -> Result<Scope<'a>> {
        let bus = connect(start, owner)?;
        let keeper = if unit.is_slice() { None } else { Some(keeper()?) };
        let mut scope = Scope { unit, bus, keeper, asked: 0, aside: None, exists: false };
        scope.start(&[]).map_err(|error| failed("start", unit.name, error))?;
        Ok(scope)
    }

    /// Waits until the unit is there; the path of the cgroup that is to be the container's.
    ///
    /// # Errors
    /// systemd refuses or does not answer.
    pub fn wait(&mut self) -> Result<&'static str> {
        let path = self.path().map_err(|error| failed("start", self.unit.name, error))?;
        Ok(match self.unit.subgroup {
            "" => path,
            subgroup => memory::format(format_args!("{path}/{subgroup}")),
        })
    }

    fn path(&mut self) -> Result<&'static str> {
        let mut without: heapless::Vec<&str, UNKNOWN> = heapless::Vec::new();
        let mut reset = false;
        while let Err(refusal) = job(&mut self.bus, self.asked, &mut self.exists)? {
            if refusal.name.ends_with(".UnitExists") && !reset {
                // The rest of one that has failed?
                reset = true;
                let arguments = &[Value::string(self.unit.name)];
                let _ = ask(&mut self.bus, &Call { member: "ResetFailedUnit", arguments, ..MANAGER })?;
            } else if self.unknown(refusal).is_none_or(|name| without.push(name).is_err()) {
                return Err(said(refusal));
            }
            self.start(&without)?;
        }
        let path = match &self.keeper {
            Some((pid, _)) => host::systemd_cgroup_of(*pid)?,
            None => self.path_of_slice()?,
        };
        match sys::split_last(path) {
            Some((_, name)) if name == self.unit.name => Ok(path),
            _ => Err(Error::because("", "", "systemd has put its process elsewhere")),
        }
    }

    /// Calls StartTransientUnit.
    fn start(&mut self, without: &[&str]) -> Result<()> {
        let mut list = Growing::new();
        if let Some((pid, _)) = &self.keeper {
            list.push(property("PIDs", Value::Array("u", memory::copy(&[Value::Number(b'u', *pid as u64)]))));
        }
        for Property { name, value, .. } in self.unit.properties.iter().filter(|one| !without.contains(&one.name)) {
            list.push(property(name, *value));
        }
        let arguments = &[
            Value::string(self.unit.name),
            Value::string("fail"),
            Value::Array("(sv)", list.finish()),
            Value::Array("(sa(sv))", &[]),
        ];
        self.asked = self.bus.call(&Call { member: "StartTransientUnit", arguments, ..MANAGER })?;
        Ok(())
    }

    /// A property that this systemd does not know and that is not important.
    fn unknown(&self, refusal: Refusal) -> Option<&'a str> {
        let (name, _) = refusal.message.strip_prefix("Cannot set property ")?.split_once(',')?;
        let known = self.unit.properties.iter().find(|property| property.name == name && property.optional)?;
        debug!("systemd does not know the property {name}");
        Some(known.name)
    }

    /// A slice has no process that would show it.
    fn path_of_slice(&mut self) -> Result<&'static str> {
        let root = control_group(&mut self.bus, MANAGER.path, MANAGER.interface)?;
        Ok(memory::format(format_args!("{root}{}", slice_path(self.unit.name))))
    }

    /// Makes room where cgroups of version 2 have controllers only as long as the cgroup above them has no process: the
    /// keeper goes to one of its own beside the container's.
    ///
    /// # Errors
    /// The kernel's.
    pub fn step_aside(&mut self, cgroup: &Cgroup<'_>) -> Result<()> {
        let (Some((pid, _)), [.., place]) = (&self.keeper, cgroup.places()) else { return Ok(()) };
        if !place.hierarchy.unified || place.hierarchy.controllers.is_empty() || self.unit.subgroup.is_empty() {
            return Ok(());
        }
        let above = place.name().strip_suffix(self.unit.subgroup).unwrap_or("");
        let directory = memory::joined(&[above, ASIDE]).unwrap_or(c"");
        let procs = memory::joined(&[above, ASIDE, "/cgroup.procs"]).unwrap_or(c"");
        let pid = memory::format(format_args!("{pid}"));
        self.aside = Some(directory);
        file::mkdirat(CWD, directory, 0o755)
            .and_then(|()| file::put(CWD, procs, pid.as_bytes()))
            .context("make cgroup", shown(directory))
    }

    /// Has systemd move a process into the container's cgroup: for users who may not do so themselves because they are
    /// where they have been logged in, and not below their own systemd.
    ///
    /// # Errors
    /// systemd refuses.
    pub fn attach(&mut self, pid: i32) -> Result<()> {
        let subgroup = memory::format(format_args!("/{}", self.unit.subgroup));
        let pids = [Value::Number(b'u', pid as u64)];
        let arguments = &[Value::string(self.unit.name), Value::string(subgroup), Value::Array("u", &pids)];
        let call = Call { member: "AttachProcessesToUnit", arguments, ..MANAGER };
        let done = ask(&mut self.bus, &call).and_then(|answer| answer.map_err(said));
        done.map_err(|error| failed("start", self.unit.name, error))
    }

    /// The container has a process of its own: the keeper ends, and the unit is the container's.
    pub fn release(mut self) {
        self.exists = false;
    }
}

/// Says what it was about.
#[cold]
fn failed(doing: &str, unit: &str, error: Error) -> Error {
    error.doing(memory::format(format_args!("{doing} systemd unit {unit}")))
}

fn property<'a>(name: &'a str, value: Value<'a>) -> Value<'a> {
    let value = &*memory::keep(value);
    Value::Struct(memory::copy(&[Value::string(name), Value::Variant(value)]))
}

impl Drop for Scope<'_> {
    fn drop(&mut self) {
        if let Some((pid, pidfd)) = self.keeper.take() {
            // Nobody but us can have it reaped: the number is still its own.
            let ended = process::pidfd_send_signal(pidfd.as_fd(), process::SIGKILL)
                .or_else(|_| process::kill(pid, process::SIGKILL));
            // Otherwise it ends with us.
            if ended.is_ok() {
                let _ = process::wait(pid, true);
            }
        }
        if let Some(directory) = self.aside {
            let _ = file::rmdirat(CWD, directory);
        }
        if self.exists {
            let _ = stop_over(&mut self.bus, self.unit.name);
        }
    }
}

/// The cgroup of the keeper.
const ASIDE: &str = "isopod";

/// A process that waits for its end.
fn keeper() -> Result<(i32, OwnedFd)> {
    let runtime = process::getpid();
    match process::clone3(0, None).context("clone3", "a process for systemd's scope")? {
        Clone::Parent { pid, pidfd } => Ok((pid, pidfd)),
        Clone::Child => {
            // It has a copy of everything that the runtime has: the lock on the state and the caller's streams, too.
            if fd::close_everything().is_ok() {
                while process::die_with(runtime) {
                    let _ = process::wait_signal(0);
                }
            }
            process::exit(0)
        }
    }
}

/// The cgroup of the manager or of a unit.
fn control_group(bus: &mut Bus, path: &str, interface: &str) -> Result<&'static str> {
    let arguments = &[Value::string(interface), Value::string("ControlGroup")];
    let asked =
        bus.call(&Call { path, interface: "org.freedesktop.DBus.Properties", member: "Get", arguments, ..MANAGER })?;
    let message = bus.answer(asked)?.map_err(said)?;
    Ok(memory::text({ message.body }.variant_string().unwrap_or("")))
}

/// Stops a scope that may or may not be ours: only if nobody is in it. systemd does so by itself, unless the process
/// that it made the scope for was just ending when it was moved there: then it waits for the end of what never was.
///
/// # Errors
/// As with `stop`; the kernel's.
pub fn stop_empty(start: &Start, owner: Owner, unit: &str, cgroups: Cgroups<'_>) -> Result<()> {
    let mut bus = connect(start, owner)?;
    stop_empty_over(&mut bus, unit, cgroups).map_err(|error| failed("stop", unit, error))
}

fn stop_empty_over(bus: &mut Bus, unit: &str, cgroups: Cgroups<'_>) -> Result<()> {
    let asked = bus.call(&Call { member: "GetUnit", arguments: &[Value::string(unit)], ..MANAGER })?;
    // Usually there is none.
    let Ok(message) = bus.answer(asked)? else { return Ok(()) };
    let object = memory::text({ message.body }.string().unwrap_or(""));
    let path = control_group(bus, object, "org.freedesktop.systemd1.Scope")?;
    if Cgroup::new(cgroups, path)?.pids()?.is_empty() { stop_over(bus, unit) } else { Ok(()) }
}

/// Stops the unit of a container, and forgets that it was there. One that is not there is no error.
///
/// # Errors
/// There is no systemd; it refuses or does not answer.
pub fn stop(start: &Start, owner: Owner, unit: &str) -> Result<()> {
    let mut bus = connect(start, owner)?;
    stop_over(&mut bus, unit).map_err(|error| failed("stop", unit, error))
}

fn stop_over(bus: &mut Bus, unit: &str) -> Result<()> {
    let arguments = &[Value::string(unit), Value::string("replace")];
    let asked = bus.call(&Call { member: "StopUnit", arguments, ..MANAGER })?;
    match job(bus, asked, &mut false)? {
        Err(refusal) if refusal.name.ends_with(".NoSuchUnit") => return Ok(()),
        answer => answer.map_err(said)?,
    }
    // It may have failed before, or just now. Usually nothing of it is left, and that is the answer.
    ask(bus, &Call { member: "ResetFailedUnit", arguments: &arguments[..1], ..MANAGER }).map(drop)
}

/// Changes properties of a unit that exists, until the machine is started again.
///
/// # Errors
/// There is no systemd; it refuses or does not answer.
pub fn update(start: &Start, owner: Owner, unit: &str, properties: &[Property<'_>]) -> Result<()> {
    if properties.is_empty() {
        return Ok(());
    }
    let mut list = Growing::new();
    properties.iter().for_each(|one| list.push(property(one.name, one.value)));
    let arguments = &[Value::string(unit), Value::bool(true), Value::Array("(sv)", list.finish())];
    let call = Call { member: "SetUnitProperties", arguments, ..MANAGER };
    let mut bus = connect(start, owner)?;
    let done = ask(&mut bus, &call).and_then(|answer| answer.map_err(said));
    done.map_err(|error| failed("update", unit, error))
}

/// A call whose answer says nothing but that it is done.
fn ask(bus: &mut Bus, call: &Call<'_>) -> Result<Result<(), Refusal>> {
    let asked = bus.call(call)?;
    Ok(bus.answer(asked)?.map(drop))
}

/// Waits for the answer to a call that is a job, which sets `begun`, and for the end of that. Whoever is on the bus may
/// send such a signal: it has to be who has answered us.
fn job(bus: &mut Bus, asked: u32, begun: &mut bool) -> Result<Result<(), Refusal>> {
    let (job, sender) = match bus.answer(asked)? {
        Ok(message) => (memory::text({ message.body }.string().unwrap_or("")), memory::text(message.sender)),
        Err(refusal) => return Ok(Err(refusal)),
    };
    *begun = true;
    loop {
        let signal = bus.signal("JobRemoved")?;
        let mut body = signal.body;
        let (_, which, _, result) = (body.u32(), body.string(), body.string(), body.string());
        if which == Some(job) && signal.sender == sender {
            return match result {
                Some("done" | "skipped") => Ok(Ok(())),
                result => {
                    let why = format_args!("its job ends with {}", Quoted(result.unwrap_or("?")));
                    Err(Error::because("", "", memory::format(why)))
                }
            };
        }
    }
}

#[cold]
fn said(refusal: Refusal) -> Error {
    let words = if refusal.message.is_empty() { refusal.name } else { refusal.message };
    Error::because("", "", words.trim_end_matches('.'))
}

/// Connects to the first that is there: the machine's systemd directly, which only root may, or over the bus; a user's
/// over the bus of the session, directly, or over the bus of the user. Whoever has none of his own, as root in a
/// container with a systemd, has the machine's.
fn connect(start: &Start, owner: Owner) -> Result<Bus> {
    let var = |name: &str| start.var(name).and_then(|value| utf8(value.to_bytes())).filter(|value| !value.is_empty());
    let mut addresses = [None; 5];
    if owner == Owner::User {
        addresses[0] = var("DBUS_SESSION_BUS_ADDRESS").map(Address::Bus);
        if let Some(directory) = var("XDG_RUNTIME_DIR") {
            addresses[1] = Some(Address::Direct(memory::format(format_args!("{directory}/systemd/private"))));
            addresses[2] = Some(Address::Bus(memory::format(format_args!("unix:path={directory}/bus"))));
        }
    }
    addresses[3] = var("DBUS_SYSTEM_BUS_ADDRESS").map(Address::Bus);
    if addresses[3].is_none() {
        addresses[3] = (start.euid == 0).then_some(Address::Direct("/run/systemd/private"));
        addresses[4] = Some(Address::Bus("unix:path=/run/dbus/system_bus_socket"));
    }
    let mut first = None;
    for address in addresses.into_iter().flatten() {
        match Bus::open(address, PATIENCE) {
            Ok(bus) => return Ok(bus),
            Err(error) => {
                debug!("{error}");
                first.get_or_insert(error);
            }
        }
    }
    let none = Error::because("connect", "", "to systemd");
    Err(first.unwrap_or(none).hint("is systemd running here? --cgroup-manager=cgroupfs does without"))
}

/// The cgroup of a unit, given that of a container in it.
#[must_use]
pub fn path_of_unit<'p>(path: &'p str, unit: &str) -> &'p str {
    let mut end = 0;
    for part in path.split('/') {
        end += part.len();
        if part == unit {
            return &path[..end];
        }
        end += 1;
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_of_paths() {
        for (path, expected) in [
            ("/a.slice/b.scope/container", "/a.slice/b.scope"),
            ("/a.slice/b.scope", "/a.slice/b.scope"),
            ("/xb.scope/b.scopes/b.scope/b.scope", "/xb.scope/b.scopes/b.scope"),
            ("/elsewhere", "/elsewhere"),
        ] {
            assert_eq!(path_of_unit(path, "b.scope"), expected);
        }
    }
}
