//! `.cpuprofile`: a call tree as a list of nodes, the node of each sample, and the time between samples.

use hashbrown::HashMap;

use super::{CallFrame, Kind, Node, Stacks};
use crate::build::Builder;
use crate::import::json::Tokens;
use crate::import::{Fault, location};
use crate::limits::{Limits, at_most};
use crate::model::{Profile, Sample};

/// Levels of JSON. The deepest that is read are the ticks of a line: profile, nodes, node, ticks, tick. 64 leaves room for
/// what is passed over.
pub(super) const DEPTH_MAX: u64 = 64;

/// What was read of a profile.
#[derive(Default)]
struct Read {
    nodes: Vec<Node>,
    hits: Vec<i64>,
    by_id: HashMap<i64, u32>,
    /// Callers, and the ids of whom they called.
    calls: Vec<(u32, i64)>,
    ticks: Vec<Ticks>,
    start_microseconds: i64,
    end_microseconds: i64,
    /// Ids of nodes.
    samples: Vec<i64>,
    deltas_microseconds: Vec<i64>,
}

/// How often a node was seen at a line.
#[derive(Debug, Clone, Copy)]
struct Ticks {
    node: u32,
    line: i64,
    ticks: u64,
}

/// What a node costs in itself.
#[derive(Debug, Clone, Copy, Default)]
struct Cost {
    samples: i64,
    microseconds: i64,
}

pub(super) fn import(tokens: &mut Tokens<'_>, limits: &Limits) -> Result<Profile<'static>, Fault> {
    let types = [("samples", "count"), ("wall", "nanoseconds"), ("cpu", "nanoseconds")];
    let mut builder = Builder::new(&types, limits)?;
    let mut read = Read::default();
    tokens.object()?;
    while let Some(key) = tokens.key_or_end()? {
        match key.as_ref() {
            b"nodes" => read.nodes(tokens, &mut builder, limits)?,
            b"startTime" => read.start_microseconds = tokens.number()?,
            b"endTime" => read.end_microseconds = tokens.number()?,
            b"samples" => numbers(tokens, &mut read.samples, limits)?,
            b"timeDeltas" => numbers(tokens, &mut read.deltas_microseconds, limits)?,
            _ => tokens.skip()?,
        }
    }
    tokens.end()?;
    read.connect()?;
    let costs = read.costs()?;
    read.build(&costs, &mut builder, limits)?;
    let duration = read.end_microseconds.saturating_sub(read.start_microseconds).max(0);
    let samples: i64 = costs.iter().map(|cost| cost.samples).fold(0, i64::saturating_add);
    // The interval is not in the file; what it came to is.
    let period = duration.saturating_mul(1000).checked_div(samples).unwrap_or(0);
    builder.set_period("cpu", "nanoseconds", period)?;
    builder.set_time(0, duration.saturating_mul(1000));
    Ok(builder.finish())
}

fn numbers(tokens: &mut Tokens<'_>, into: &mut Vec<i64>, limits: &Limits) -> Result<(), Fault> {
    tokens.array()?;
    while let Some(number) = tokens.number_or_end()? {
        at_most(into.len() as u64 + 1, limits.samples_max, "samples")?;
        into.push(number);
    }
    Ok(())
}

impl Read {
    fn nodes(&mut self, tokens: &mut Tokens<'_>, builder: &mut Builder, limits: &Limits) -> Result<(), Fault> {
        tokens.array()?;
        while tokens.object_or_end()? {
            at_most(self.nodes.len() as u64 + 1, limits.samples_max, "nodes")?;
            self.node(tokens, builder, limits)?;
        }
        Ok(())
    }

    fn node(&mut self, tokens: &mut Tokens<'_>, builder: &mut Builder, limits: &Limits) -> Result<(), Fault> {
        // Below the limit of samples, which is below 2^32.
        let index = self.nodes.len() as u32;
        let (mut frame, mut hits) = (None, 0);
        while let Some(key) = tokens.key_or_end()? {
            match key.as_ref() {
                b"id" => {
                    if self.by_id.insert(tokens.number()?, index).is_some() {
                        return Err(Fault::Bad("two nodes have the same id"));
                    }
                }
                b"callFrame" => frame = Some(CallFrame::read(tokens, builder)?),
                b"hitCount" => hits = tokens.number()?.max(0),
                b"children" => {
                    tokens.array()?;
                    while let Some(child) = tokens.number_or_end()? {
                        at_most(self.calls.len() as u64 + 1, limits.samples_max, "nodes")?;
                        self.calls.push((index, child));
                    }
                }
                b"positionTicks" => self.ticks(index, tokens, limits)?,
                _ => tokens.skip()?,
            }
        }
        self.nodes.push(Node { frame, parent: None });
        self.hits.push(hits);
        Ok(())
    }

    fn ticks(&mut self, node: u32, tokens: &mut Tokens<'_>, limits: &Limits) -> Result<(), Fault> {
        tokens.array()?;
        while tokens.object_or_end()? {
            let (mut line, mut ticks) = (0, 0);
            while let Some(key) = tokens.key_or_end()? {
                match key.as_ref() {
                    b"line" => line = tokens.number()?,
                    b"ticks" => ticks = tokens.number()?.max(0).unsigned_abs(),
                    _ => tokens.skip()?,
                }
            }
            at_most(self.ticks.len() as u64 + 1, limits.samples_max, "ticks of lines")?;
            self.ticks.push(Ticks { node, line, ticks });
        }
        Ok(())
    }

    /// Gives every node its parent.
    fn connect(&mut self) -> Result<(), Fault> {
        for (parent, child) in &self.calls {
            let child = self
                .by_id
                .get(child)
                .ok_or(Fault::Bad("a node calls one that is not there"))?;
            let node = self.nodes.get_mut(*child as usize);
            let node = node.ok_or(Fault::Bad("a node calls one that is not there"))?;
            if node.parent.replace(*parent).is_some() {
                return Err(Fault::Bad("a node is called by two"));
            }
        }
        Ok(())
    }

    /// What each node costs in itself. A sample stands for the time up to the next one, the last for that up to the end.
    fn costs(&self) -> Result<Vec<Cost>, Fault> {
        let mut costs = vec![Cost::default(); self.nodes.len()];
        if self.samples.is_empty() || self.deltas_microseconds.is_empty() {
            self.share_time(&mut costs)?;
            return Ok(costs);
        }
        if self.samples.len() != self.deltas_microseconds.len() {
            return Err(Fault::Bad("there are not as many times as samples"));
        }
        let mut now = self.start_microseconds;
        let mut deltas = self.deltas_microseconds.iter();
        now = now.saturating_add(deltas.next().copied().unwrap_or(0));
        for sample in &self.samples {
            let next = match deltas.next() {
                Some(delta) => now.saturating_add(*delta),
                None => self.end_microseconds,
            };
            let cost = self.seen(*sample, &mut costs)?;
            cost.samples += 1;
            // Samples may be out of order: V8 takes their times on two threads.
            cost.microseconds = cost.microseconds.saturating_add(next.saturating_sub(now).max(0));
            now = next;
        }
        Ok(costs)
    }

    /// The cost of the node that a sample is of.
    fn seen<'c>(&self, sample: i64, costs: &'c mut [Cost]) -> Result<&'c mut Cost, Fault> {
        let node = self.by_id.get(&sample).and_then(|index| costs.get_mut(*index as usize));
        node.ok_or(Fault::Bad("a sample is of a node that is not there"))
    }

    /// Without times all samples stand for the same time; where there are none either, hits are as good.
    fn share_time(&self, costs: &mut [Cost]) -> Result<(), Fault> {
        for sample in &self.samples {
            self.seen(*sample, costs)?.samples += 1;
        }
        if self.samples.is_empty() {
            for (cost, hits) in costs.iter_mut().zip(&self.hits) {
                cost.samples = *hits;
            }
        }
        let samples = costs.iter().fold(0_i64, |sum, cost| sum.saturating_add(cost.samples));
        let duration = self.end_microseconds.saturating_sub(self.start_microseconds).max(0);
        for cost in costs {
            cost.microseconds = part(duration, cost.samples.unsigned_abs(), samples.unsigned_abs());
        }
        Ok(())
    }

    fn build(&self, costs: &[Cost], builder: &mut Builder, limits: &Limits) -> Result<(), Fault> {
        let mut stacks = Stacks::new(&self.nodes, limits);
        let mut ticks = self.ticks.as_slice();
        for ((index, node), cost) in (0..).zip(&self.nodes).zip(costs) {
            // They were read node by node.
            let here = ticks.iter().take_while(|of| of.node == index).count();
            let lines = ticks.get(..here).unwrap_or_default();
            ticks = ticks.get(here..).unwrap_or_default();
            let Some(frame) = node.frame else {
                return Err(Fault::Bad("a node has no frame"));
            };
            if cost.samples == 0 || frame.kind == Kind::Root {
                continue;
            }
            // Each line is a sample, though lines may be the same and all samples one in the end.
            let stack = stacks.of(index, lines.len().max(1) as u64)?;
            for (line, cost) in by_line(*cost, lines) {
                if let (Some(line), Some(leaf)) = (line, stack.first_mut()) {
                    *leaf = location(frame.function, line, builder)?;
                }
                let wall = cost.microseconds.saturating_mul(1000);
                let cpu = if frame.kind == Kind::Idle { 0 } else { wall };
                let values = [cost.samples, wall, cpu];
                builder.add_sample(Sample {
                    stack,
                    values: &values,
                    labels: &[],
                })?;
            }
        }
        Ok(())
    }
}

/// A node's cost by line, as its ticks are spread: nothing is lost by rounding. Without ticks the line is not known.
fn by_line(cost: Cost, lines: &[Ticks]) -> impl Iterator<Item = (Option<i64>, Cost)> {
    let ticks = lines.iter().fold(0_u64, |sum, line| sum.saturating_add(line.ticks));
    let mut before = 0_u64;
    let spread = lines.iter().filter(|line| line.ticks > 0).map(move |line| {
        let after = before.saturating_add(line.ticks);
        let begin = std::mem::replace(&mut before, after);
        let share = |whole| part(whole, after, ticks) - part(whole, begin, ticks);
        let share = Cost {
            samples: share(cost.samples),
            microseconds: share(cost.microseconds),
        };
        (Some(line.line), share)
    });
    let unknown = (ticks == 0).then_some((None, cost));
    unknown.into_iter().chain(spread)
}

/// `whole * of / all`, of numbers that are not negative; 0 of nothing.
fn part(whole: i64, of: u64, all: u64) -> i64 {
    let product = u128::from(whole.unsigned_abs()) * u128::from(of);
    let part = product.checked_div(u128::from(all)).unwrap_or(0);
    // `of` is not above `all`, so the part is not above the whole.
    i64::try_from(part).unwrap_or(whole)
}
