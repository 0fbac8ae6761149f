/** Load balancing policies: which of several upstreams gets a request. */
import { assertNever } from '../errors.ts'
import type { BalancingPolicy } from '../config/route-model.ts'

/** One of the upstreams of a route. */
export interface Balanced {
  /** Place among all upstreams of the route. */
  readonly index: number
  readonly weight: number
  /** Requests that it has at the moment, waiting ones included. */
  readonly load: number
  /** The same in every process and after every reload. */
  readonly seed: number
}

/** Chooses among some of the upstreams of a route; `client` says whose request it is, for policies that ask. */
export type Balancer = <T extends Balanced>(among: readonly [T, ...T[]], client: () => string) => T

/**
 * State is by place, so `size` is the number of all upstreams of the route.
 * @param random from 0, below 1.
 */
export function createBalancer(policy: BalancingPolicy, size: number, random: () => number): Balancer {
  switch (policy) {
    case 'round-robin':
      return roundRobin(size)
    case 'least-request':
      return leastRequest()
    case 'random':
      return (among) => weighted(among, random())
    case 'hash':
      return (among, client) => rendezvous(among, hash(client()))
    default:
      return assertNever(policy)
  }
}

/** Smooth weighted round robin, as nginx: with weights 5, 1, 1 the heavy one is never chosen five times in a row. */
function roundRobin(size: number): Balancer {
  const credits = new Float64Array(size)
  return (among) => {
    let [best] = among
    let total = 0
    for (const each of among) {
      total += each.weight
      credits[each.index] = creditOf(each) + each.weight
      if (creditOf(each) > creditOf(best)) best = each
    }
    credits[best.index] = creditOf(best) - total
    return best
  }
  function creditOf({ index }: Balanced): number {
    return credits[index] ?? 0
  }
}

/** Fewest requests for its weight; of equals each in turn. */
function leastRequest(): Balancer {
  let turn = 0
  return (among) => {
    let [best] = among
    let least = Number.POSITIVE_INFINITY
    turn++
    for (let i = 0; i < among.length; i++) {
      const each = among[(turn + i) % among.length] ?? best
      const load = (each.load + 1) / each.weight
      if (load >= least) continue
      least = load
      best = each
    }
    return best
  }
}

function weighted<T extends Balanced>(among: readonly [T, ...T[]], random: number): T {
  let left = random * among.reduce((sum, { weight }) => sum + weight, 0)
  for (const each of among) if ((left -= each.weight) < 0) return each
  return among[0]
}

/**
 * Weighted rendezvous hashing: a client stays with its upstream, and moves only when that one goes. That is what Envoy's
 * ring hash and Maglev are for; without their tables it costs one hash for each upstream of the route.
 */
function rendezvous<T extends Balanced>(among: readonly [T, ...T[]], client: number): T {
  let [best] = among
  let highest = Number.NEGATIVE_INFINITY
  for (const each of among) {
    const score = -each.weight / Math.log((mix(client ^ each.seed) + 1) / 0x1_0000_0001)
    if (score <= highest) continue
    highest = score
    best = each
  }
  return best
}

/** FNV-1a, 32 bits. */
export function hash(text: string): number {
  let value = 0x811c_9dc5
  for (let i = 0; i < text.length; i++) value = Math.imul(value ^ text.charCodeAt(i), 0x0100_0193)
  return value >>> 0
}

/** Each bit of the input changes half of the output (the finalizer of MurmurHash3). */
function mix(value: number): number {
  let mixed = Math.imul(value ^ (value >>> 16), 0x85eb_ca6b)
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2_ae35)
  return (mixed ^ (mixed >>> 16)) >>> 0
}
