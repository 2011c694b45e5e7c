//! What ends by itself: attempts, and the time of keys that were removed.

use std::time::Duration;

use keystead_core::Change;

use super::{Ended, Provider, Slot};
use crate::report;

impl Provider {
    /// Takes in that an attempt on one of its sources has ended: publishes what it gave, and only
    /// then lets those go on who wait for it.
    pub(crate) fn take_in_end(&self, slot: &Slot, number: u64, ended: &Ended) {
        let finishing = Finishing { provider: self, slot, number };
        if ended.failed && slot.is_network() {
            self.desk.fetch_failed();
        }
        self.publish();
        report::attempt(self, slot, ended);
        report::state(self);
        drop(finishing);
        self.settle();
    }

    /// Publishes keys that were restored from a snapshot. They may be what somebody waits for, and
    /// among them may be some that have to go in their time.
    pub(crate) fn take_in_restored(&self) {
        self.publish();
        report::state(self);
        self.desk.ring();
    }

    /// Takes away the removed keys whose grace is over, and says when the next one's is (monotonic
    /// time).
    pub(crate) fn expire_removed(&self) -> Option<Duration> {
        let now = self.clock.monotonic();
        let expire = |slot: &Slot| slot.cell().lifecycle.expire(now);
        let expired: Vec<(&Slot, Change)> =
            self.slots.iter().map(|slot| (slot, expire(slot))).collect();
        let expired = || expired.iter().filter(|(_, change)| !change.is_empty());
        if expired().next().is_some() {
            self.publish();
            expired().for_each(|(slot, change)| report::change(self, slot, change));
        }
        let leaving = |slot: &Slot| {
            let cell = slot.cell();
            cell.lifecycle.leaving().iter().map(|(_, leaves)| *leaves).min()
        };
        self.slots.iter().filter_map(leaving).min()
    }
}

/// The end of an attempt that is told when this is dropped: whoever waits for it must not wait for
/// ever because a listener of the log panicked.
struct Finishing<'a> {
    provider: &'a Provider,
    slot: &'a Slot,
    number: u64,
}

impl Drop for Finishing<'_> {
    fn drop(&mut self) {
        self.slot.finish(self.number);
        // Keys may have begun to leave, and somebody may have what it waits for.
        self.provider.desk.ring();
    }
}
