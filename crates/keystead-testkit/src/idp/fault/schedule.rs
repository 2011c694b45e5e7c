//! Which order a request meets: a machine without sockets, whose time is an argument.
//!
//! The orders stand in a row. One begins when nothing before it in the row is left that is about the
//! same requests, and a request meets the first in the row that is about it and not over.

use std::collections::BTreeMap;
use std::time::Duration;

use super::catalogue::Fault;
use super::order::{Act, Documents, Extent, Order};
use super::script::MAX_ORDERS;
use crate::idp::error::IdpError;
use crate::idp::realm::Requests;

/// Which document a request is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::idp) enum Asked {
    Discovery,
    Jwks,
}

/// What a request or a connection meets.
#[derive(Debug)]
pub(in crate::idp) struct Taken {
    pub(in crate::idp) act: Act,
    /// The number of its fault, where it takes one.
    pub(in crate::idp) amount: u64,
    /// How many met the same order before.
    pub(in crate::idp) nth: u64,
    pub(in crate::idp) hold: Hold,
}

/// The order that keeps a request waiting.
#[derive(Clone, Copy, Debug)]
pub(in crate::idp) struct Hold(u64);

#[derive(Debug, Default)]
pub(in crate::idp) struct Schedule {
    steps: Vec<Step>,
    last_id: u64,
    served: BTreeMap<Fault, Requests>,
}

#[derive(Debug)]
struct Step {
    id: u64,
    order: Order,
    /// It does not begin before.
    earliest: Duration,
    since: Option<Duration>,
    met: u64,
    over: bool,
}

impl Schedule {
    /// Puts an order in front of the row. Those that are about nothing else than this one are gone.
    pub(in crate::idp) fn order(&mut self, order: Order, now: Duration) -> Result<(), IdpError> {
        self.settle(now);
        self.steps.retain(|step| !covers(&order, &step.order));
        if self.steps.len() >= MAX_ORDERS {
            self.steps.retain(|step| !step.over);
        }
        if self.steps.len() >= MAX_ORDERS {
            return Err(IdpError::Order(format!("there are {MAX_ORDERS} orders already")));
        }
        let step = self.step(order, now);
        self.steps.insert(0, step);
        self.settle(now);
        Ok(())
    }

    /// Replaces the whole row.
    pub(in crate::idp) fn script(
        &mut self,
        orders: Vec<Order>,
        now: Duration,
    ) -> Result<(), IdpError> {
        if orders.len() > MAX_ORDERS {
            return Err(IdpError::Order(format!("a script has at most {MAX_ORDERS} orders")));
        }
        self.steps.clear();
        for order in orders {
            let step = self.step(order, now);
            self.steps.push(step);
        }
        self.settle(now);
        Ok(())
    }

    /// Forgets the whole row; what was served is still known.
    pub(in crate::idp) fn clear(&mut self) {
        self.steps.clear();
    }

    /// Ends the orders that close the port.
    pub(in crate::idp) fn lift_down(&mut self, now: Duration) {
        self.settle(now);
        for at in 0..self.steps.len() {
            if self.steps.get(at).is_some_and(|step| !step.over && step.order.act == DOWN) {
                self.end(at, now);
            }
        }
        self.settle(now);
    }

    /// Whether the port is closed.
    pub(in crate::idp) fn is_down(&mut self, now: Duration) -> bool {
        self.settle(now);
        self.steps.iter().any(|step| step.is_on() && step.order.act == DOWN)
    }

    /// Whether the port may be closed or opened without anybody asking.
    pub(in crate::idp) fn moves_the_port(&self) -> bool {
        self.steps.iter().any(|step| !step.over && step.order.act == DOWN)
    }

    /// What a request meets, if it meets an order.
    pub(in crate::idp) fn request(
        &mut self,
        realm: &str,
        asked: Asked,
        now: Duration,
    ) -> Option<Taken> {
        self.settle(now);
        let at = self.steps.iter().position(|step| !step.over && step.is_about(realm, asked))?;
        let taken = self.take(at, now)?;
        if let Act::Fault(fault) = taken.act {
            let served = self.served.entry(fault).or_default();
            let counter = match asked {
                Asked::Discovery => &mut served.discovery,
                Asked::Jwks => &mut served.jwks,
            };
            *counter = counter.saturating_add(1);
        }
        Some(taken)
    }

    /// What a connection meets before its first request: a fault of TLS.
    pub(in crate::idp) fn connection(&mut self, now: Duration) -> Option<(Fault, Hold)> {
        self.settle(now);
        let at = self.steps.iter().position(|step| {
            step.is_on() && step.order.about().is_none() && step.order.act != DOWN
        })?;
        let taken = self.take(at, now)?;
        let Act::Fault(fault) = taken.act else { return None };
        let served = self.served.entry(fault).or_default();
        served.other = served.other.saturating_add(1);
        Some((fault, taken.hold))
    }

    /// Whether an order still keeps waiting whom it met. One that is for a number of requests keeps
    /// the last of them waiting until it is forgotten.
    pub(in crate::idp) fn holds(&self, hold: Hold, now: Duration) -> bool {
        let step = self.steps.iter().find(|step| step.id == hold.0);
        step.is_some_and(|step| step.end().is_none_or(|end| now < end))
    }

    /// How many requests (as `other`: connections) met this fault.
    pub(in crate::idp) fn served(&self, fault: Fault) -> Requests {
        self.served.get(&fault).copied().unwrap_or_default()
    }

    /// The orders that are not over, in their row, each with whether it has begun and how many met
    /// it.
    pub(in crate::idp) fn orders(&mut self, now: Duration) -> Vec<(Order, bool, u64)> {
        self.settle(now);
        let left = self.steps.iter().filter(|step| !step.over);
        left.map(|step| (step.order.clone(), step.since.is_some(), step.met)).collect()
    }

    fn step(&mut self, order: Order, now: Duration) -> Step {
        self.last_id = self.last_id.saturating_add(1);
        Step { id: self.last_id, order, earliest: now, since: None, met: 0, over: false }
    }

    /// One more meets the order at this place, if it has begun.
    fn take(&mut self, at: usize, now: Duration) -> Option<Taken> {
        let step = self.steps.get_mut(at).filter(|step| step.is_on())?;
        let nth = step.met;
        step.met = step.met.saturating_add(1);
        let amount = match (&step.order.act, step.order.amount) {
            (_, Some(amount)) => amount,
            (Act::Fault(fault), None) => fault.amount().map_or(0, |amount| amount.default),
            _ => 0,
        };
        let taken = Taken { act: step.order.act.clone(), amount, nth, hold: Hold(step.id) };
        if matches!(step.order.extent, Extent::Requests(requests) if step.met >= requests) {
            self.end(at, now);
            self.settle(now);
        }
        Some(taken)
    }

    /// Begins and ends what is due, in the order in which it was due.
    fn settle(&mut self, now: Duration) {
        loop {
            self.begin();
            let due = self.steps.iter().enumerate().filter(|(_, step)| !step.over);
            let due = due.filter_map(|(at, step)| Some((step.end()?, at)));
            let Some((end, at)) = due.min().filter(|(end, _)| *end <= now) else { return };
            self.end(at, end);
        }
    }

    /// Begins the orders that nothing stands in front of.
    fn begin(&mut self) {
        for at in 0..self.steps.len() {
            let (before, rest) = self.steps.split_at_mut(at);
            let Some(step) = rest.first_mut() else { return };
            let waits = before.iter().any(|first| !first.over && meet(&first.order, &step.order));
            if step.since.is_none() && !waits {
                step.since = Some(step.earliest);
            }
        }
    }

    /// Ends the order at this place; what it stood in front of may begin then.
    fn end(&mut self, at: usize, when: Duration) {
        let (before, after) = self.steps.split_at_mut(at.saturating_add(1));
        let Some(ended) = before.last_mut() else { return };
        ended.over = true;
        for step in after.iter_mut().filter(|step| meet(&ended.order, &step.order)) {
            step.earliest = step.earliest.max(when);
        }
    }
}

const DOWN: Act = Act::Fault(Fault::Down);

impl Step {
    const fn is_on(&self) -> bool {
        self.since.is_some() && !self.over
    }

    /// When its time is over, if it has one.
    fn end(&self) -> Option<Duration> {
        match self.order.extent {
            Extent::For(time) => Some(self.since?.saturating_add(time)),
            Extent::UntilHealed | Extent::Requests(_) => None,
        }
    }

    fn is_about(&self, realm: &str, asked: Asked) -> bool {
        let asked = match asked {
            Asked::Discovery => Documents::Discovery,
            Asked::Jwks => Documents::Jwks,
        };
        self.order.about().is_some_and(|about| about.meet(asked))
            && self.order.realm.as_ref().is_none_or(|own| own == realm)
    }
}

/// Whether two orders could be about the same request. Connections come before every request.
fn meet(one: &Order, other: &Order) -> bool {
    let (Some(documents), Some(others)) = (one.about(), other.about()) else { return true };
    let same_realm = match (&one.realm, &other.realm) {
        (Some(one), Some(other)) => one == other,
        _ => true,
    };
    same_realm && documents.meet(others)
}

/// Whether everything that the old order is about, the new one is about too.
fn covers(new: &Order, old: &Order) -> bool {
    match (new.about(), old.about()) {
        (None, None) => true,
        (Some(new_about), Some(old_about)) => {
            (new_about == Documents::Both || new_about == old_about)
                && (new.realm.is_none() || new.realm == old.realm)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Asked::{Discovery, Jwks};

    const START: Duration = Duration::from_secs(100);

    fn after(seconds: u64) -> Duration {
        START + Duration::from_secs(seconds)
    }

    fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn scripted(orders: impl IntoIterator<Item = Order>) -> Schedule {
        let mut schedule = Schedule::default();
        schedule.script(orders.into_iter().collect(), START).unwrap();
        schedule
    }

    fn met(schedule: &mut Schedule, asked: Asked, now: Duration) -> Option<Fault> {
        match schedule.request("a", asked, now)?.act {
            Act::Fault(fault) => Some(fault),
            _ => None,
        }
    }

    #[test]
    fn orders_for_requests_follow_each_other_for_each_document() {
        let mut schedule = scripted([
            Order::new(Fault::Status502).documents(Documents::Discovery).requests(1),
            Order::new(Fault::Html).documents(Documents::Jwks).requests(2),
            Order::healthy().documents(Documents::Jwks).requests(1),
            Order::new(Fault::EmptySet).requests(1),
        ]);
        assert_eq!(met(&mut schedule, Jwks, START), Some(Fault::Html));
        assert_eq!(met(&mut schedule, Discovery, START), Some(Fault::Status502));
        assert_eq!(met(&mut schedule, Discovery, START), None);
        assert_eq!(met(&mut schedule, Jwks, START), Some(Fault::Html));
        assert_eq!(met(&mut schedule, Jwks, START), None);
        assert_eq!(met(&mut schedule, Jwks, START), Some(Fault::EmptySet));
        assert_eq!(met(&mut schedule, Jwks, START), None);
        assert!(schedule.orders(START).is_empty());
        let html = schedule.served(Fault::Html);
        assert_eq!((html.discovery, html.jwks, html.other), (0, 2, 0));
        assert_eq!(schedule.served(Fault::Status502).discovery, 1);
        assert_eq!(schedule.served(Fault::Reset), Requests::default());
    }

    #[test]
    fn an_order_for_both_documents_waits_for_what_stands_before_it_on_either() {
        let mut schedule = scripted([
            Order::new(Fault::Status502).documents(Documents::Discovery).requests(1),
            Order::new(Fault::Html).requests(2),
        ]);
        assert_eq!(met(&mut schedule, Jwks, START), None);
        assert_eq!(met(&mut schedule, Discovery, START), Some(Fault::Status502));
        assert_eq!(met(&mut schedule, Jwks, START), Some(Fault::Html));
        assert_eq!(met(&mut schedule, Discovery, START), Some(Fault::Html));
        assert_eq!(met(&mut schedule, Jwks, START), None);
    }

    #[test]
    fn times_follow_each_other_whether_or_not_anybody_asks() {
        let mut schedule = scripted([
            Order::new(Fault::Html).lasting(secs(10)),
            Order::new(Fault::Down).lasting(secs(10)),
            Order::new(Fault::Reset).lasting(secs(10)),
        ]);
        assert_eq!(met(&mut schedule, Jwks, after(9)), Some(Fault::Html));
        assert!(!schedule.is_down(after(9)) && schedule.moves_the_port());
        // Nobody asked for 15 s.
        assert_eq!(met(&mut schedule, Jwks, after(24)), Some(Fault::Reset));
        assert_eq!(met(&mut schedule, Jwks, after(30)), None);
        assert!(!schedule.moves_the_port());
    }

    #[test]
    fn a_closed_port_opens_when_its_time_is_over_or_when_it_is_told_to() {
        let mut schedule = scripted([
            Order::new(Fault::Html).requests(1),
            Order::new(Fault::Down).lasting(secs(10)),
            Order::new(Fault::EmptySet),
        ]);
        assert!(!schedule.is_down(after(50)));
        assert_eq!(met(&mut schedule, Discovery, after(50)), Some(Fault::Html));
        assert!(schedule.is_down(after(59)) && !schedule.is_down(after(60)));
        assert_eq!(met(&mut schedule, Jwks, after(60)), Some(Fault::EmptySet));
        schedule.order(Order::new(Fault::Down), after(60)).unwrap();
        assert!(schedule.is_down(after(100)));
        schedule.lift_down(after(100));
        assert!(!schedule.is_down(after(100)));
        assert_eq!(met(&mut schedule, Jwks, after(100)), Some(Fault::EmptySet));
    }

    #[test]
    fn a_new_order_comes_first_and_replaces_those_that_are_about_nothing_else() {
        let mut schedule = Schedule::default();
        schedule.order(Fault::Html.into(), START).unwrap();
        schedule.order(Order::new(Fault::EmptySet).requests(1), START).unwrap();
        assert_eq!(met(&mut schedule, Discovery, START), Some(Fault::Html));
        assert_eq!(met(&mut schedule, Jwks, START), Some(Fault::EmptySet));
        assert_eq!(met(&mut schedule, Jwks, START), Some(Fault::Html));
        schedule.order(Fault::Reset.into(), START).unwrap();
        assert_eq!(schedule.orders(START), [(Fault::Reset.into(), true, 0)]);
        schedule.order(Order::new(Fault::Bom).realm("b"), START).unwrap();
        assert_eq!(met(&mut schedule, Jwks, START), Some(Fault::Reset));
        assert_eq!(schedule.orders(START).len(), 2);
        schedule.clear();
        assert_eq!(met(&mut schedule, Jwks, START), None);
        assert_eq!(schedule.served(Fault::Html).jwks, 1);
    }

    #[test]
    fn connections_meet_faults_of_tls_and_requests_do_not() {
        let mut schedule =
            scripted([Order::new(Fault::TlsExpired).requests(1), Fault::Html.into()]);
        assert_eq!(met(&mut schedule, Jwks, START), None);
        assert_eq!(schedule.connection(START).unwrap().0, Fault::TlsExpired);
        assert!(schedule.connection(START).is_none());
        assert_eq!(met(&mut schedule, Jwks, START), Some(Fault::Html));
        assert_eq!(schedule.served(Fault::TlsExpired).other, 1);
    }

    #[test]
    fn who_is_kept_waiting_is_let_go_when_the_order_is_over_or_forgotten() {
        let mut schedule = scripted([Order::new(Fault::Blackhole).lasting(secs(10))]);
        let hold = schedule.request("a", Jwks, START).unwrap().hold;
        assert!(schedule.holds(hold, after(9)) && !schedule.holds(hold, after(10)));

        let mut schedule = scripted([Order::new(Fault::Blackhole).requests(1)]);
        let hold = schedule.request("a", Jwks, START).unwrap().hold;
        assert!(schedule.request("a", Jwks, START).is_none());
        assert!(schedule.holds(hold, after(1_000)));
        schedule.clear();
        assert!(!schedule.holds(hold, after(1_000)));
    }

    #[test]
    fn the_row_is_bounded() {
        let mut schedule = Schedule::default();
        for number in 0..MAX_ORDERS {
            let order = Order::new(Fault::Html).realm(number.to_string());
            schedule.order(order, START).unwrap();
        }
        assert!(schedule.order(Order::new(Fault::Html).realm("x"), START).is_err());
        let many = vec![Order::new(Fault::Html); MAX_ORDERS + 1];
        assert!(schedule.script(many, START).is_err());
    }
}
