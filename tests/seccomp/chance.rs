//! Profiles by chance, the same ones in every run.

use crate::profile::{Action, Arg, Profile, Rule};

pub struct Chance(u64);

impl Chance {
    pub fn new(seed: u64) -> Chance {
        Chance(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// xorshift64*.
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub fn below(&mut self, limit: usize) -> usize {
        (self.next() >> 33) as usize % limit
    }

    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    pub fn of<T: Clone>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())].clone()
    }

    fn action(&mut self) -> Action {
        let name = self.of(&["ALLOW", "ERRNO", "ERRNO", "KILL", "KILL_PROCESS", "LOG", "TRACE", "TRAP"]);
        let errno = (matches!(name, "ERRNO" | "TRACE") && !self.one_in(3)).then(|| self.below(5) as u32);
        Action { name, errno }
    }

    fn value(&mut self) -> u64 {
        match self.below(8) {
            0 => 0,
            1 => 1 << self.below(64),
            2 => (1 << self.below(64)) - 1,
            3 => self.next() & 0xffff_ffff,
            4 => self.next() & 0xffff_ffff_0000_0000,
            5 => u64::MAX - self.below(3) as u64,
            6 => self.below(20) as u64,
            _ => self.next(),
        }
    }

    fn args(&mut self) -> Vec<Arg> {
        if !self.one_in(3) {
            return Vec::new();
        }
        let mut args = Vec::new();
        for _ in 0..=self.below(3) {
            args.push(Arg {
                index: self.below(6) as u32,
                op: self.below(7),
                value: self.value(),
                value_two: self.value(),
            });
        }
        args
    }

    /// `names` are what there is to choose from. The rules with conditions for one call have one action: what happens
    /// if two of them fit is libseccomp's secret otherwise.
    pub fn profile(&mut self, names: &[&str]) -> Profile {
        let default = self.action();
        let mut arches = vec!["X86_64"];
        for arch in ["X86", "X32"] {
            if self.one_in(2) {
                arches.push(arch);
            }
        }
        // Few calls with many rules, or many calls.
        let pool: Vec<String> = (0..=self.below(30)).map(|_| self.of(names).to_owned()).collect();
        let conditional = self.action();
        let mut rules = Vec::new();
        for _ in 0..=self.below(20) {
            let args = self.args();
            let action = if args.is_empty() { self.action() } else { conditional };
            let names = (0..=self.below(6)).map(|_| self.of(&pool)).collect();
            rules.push(Rule { names, action, args });
        }
        Profile { default, arches, rules }
    }
}
