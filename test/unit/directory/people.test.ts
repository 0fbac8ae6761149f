/** The rules of evidence against a model of Okta: whatever is delayed, lost, doubled or reordered, nobody gains by it. */
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { combine, isSame, type Known } from '../../../src/directory/evidence.ts'
import { createPeople, type Effect, type People } from '../../../src/directory/people.ts'
import type { Signal, Trust } from '../../../src/directory/signals.ts'
import type { Entry, Group } from '../../../src/directory/model.ts'
import { group } from './scripted-source.ts'

const ANN = '00u1annAnnAnnAnnAnn1'
const T0 = Date.UTC(2026, 10, 20, 12)
const GROUPS = [group(1), group(2), group(3)]
const MARGIN = 2000

type Op =
  | { readonly kind: 'member'; readonly group: Group; readonly member: boolean }
  | { readonly kind: 'suspend' | 'unsuspend' }

/** What Okta's state was after each change. */
interface Moment {
  readonly at: number
  readonly op: Op | undefined
  readonly active: boolean
  readonly groups: readonly Group[]
}

const BEGINNING: Moment = { at: T0, op: undefined, active: true, groups: [] }

type Delivery =
  | { readonly kind: 'event'; readonly moment: Moment; readonly trust: Trust }
  | { readonly kind: 'reading' | 'list'; readonly takenAt: number; readonly truth: Moment }

interface Story {
  readonly moments: readonly Moment[]
  readonly deliveries: readonly { readonly at: number; readonly delivery: Delivery }[]
}

const minutes = (n: number): number => n * 60_000

const opArbitrary: fc.Arbitrary<Op> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('member' as const),
      group: fc.constantFrom(...GROUPS),
      member: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('suspend' as const, 'unsuspend' as const) }) },
)

/** Most delays are short, some are longer than a reading may take, and some longer than an hour. */
const delayArbitrary = fc.oneof(
  { weight: 4, arbitrary: fc.nat(5000) },
  { weight: 2, arbitrary: fc.nat(minutes(4)) },
  { weight: 1, arbitrary: fc.nat(minutes(150)) },
)

const storyArbitrary: fc.Arbitrary<Story> = fc
  .record({
    ops: fc.array(fc.record({ gap: fc.oneof(fc.nat(1500), fc.nat(minutes(20))), op: opArbitrary }), { maxLength: 14 }),
    copies: fc.array(fc.array(fc.record({ delay: delayArbitrary, hook: fc.boolean() }), { maxLength: 3 }), {
      minLength: 14,
      maxLength: 14,
    }),
    looks: fc.array(
      fc.record({
        near: fc.nat(13),
        offset: fc.oneof(fc.nat(1200), fc.nat(minutes(30))),
        delay: fc.oneof(fc.nat(3000), fc.nat(minutes(4))),
        list: fc.boolean(),
      }),
      { maxLength: 8 },
    ),
  })
  .map(({ ops, copies, looks }) => {
    const moments: Moment[] = [BEGINNING]
    for (const { gap, op } of ops) {
      const last = moments.at(-1) as Moment
      // Events at even, readings at odd milliseconds: nothing happens at the very instant of a reading.
      moments.push(after(last, last.at + 2 + 2 * gap, op))
    }
    const deliveries: { at: number; delivery: Delivery }[] = []
    for (const [i, moment] of moments.slice(1).entries()) {
      for (const { delay, hook } of copies[i] ?? []) {
        deliveries.push({
          at: moment.at + 1 + delay,
          delivery: { kind: 'event', moment, trust: hook ? 'hook' : 'log' },
        })
      }
    }
    for (const { near, offset, delay, list } of looks) {
      const takenAt = (moments[near] ?? BEGINNING).at + 2 * offset + 1
      const truth = moments.filter(({ at }) => at < takenAt).at(-1) as Moment
      deliveries.push({ at: takenAt + delay, delivery: { kind: list ? 'list' : 'reading', takenAt, truth } })
    }
    return { moments, deliveries: deliveries.toSorted((a, b) => a.at - b.at) }
  })

function after({ active, groups }: Moment, at: number, op: Op): Moment {
  if (op.kind !== 'member') return { at, op, active: op.kind === 'unsuspend', groups }
  const others = groups.filter(({ id }) => id !== op.group.id)
  return { at, op, active, groups: op.member ? [...others, op.group] : others }
}

function entryOf({ active, groups }: Moment, takenAt: number): Entry {
  return {
    subject: ANN,
    status: active ? 'active' : 'inactive',
    statusText: active ? 'ACTIVE' : 'SUSPENDED',
    groups: active ? groups : [],
    asOf: takenAt - MARGIN,
    upTo: takenAt,
  }
}

function deliver(people: People, delivery: Delivery, now: number): readonly Effect[] {
  switch (delivery.kind) {
    case 'event': {
      const { op, at } = delivery.moment
      return op ? people.tell(signalOf(op, at), delivery.trust, now) : []
    }
    case 'reading':
      return [
        people.learn(ANN, { entry: entryOf(delivery.truth, delivery.takenAt), readAt: delivery.takenAt }, now) ?? [],
      ].flat()
    case 'list':
      return GROUPS.flatMap((each) => {
        const members = new Set(delivery.truth.groups.some(({ id }) => id === each.id) ? [ANN] : [])
        return people.tell(
          { kind: 'members', group: each, members, at: delivery.takenAt - MARGIN, upTo: delivery.takenAt },
          'log',
          now,
        )
      })
    default:
      return delivery satisfies never
  }
}

function signalOf(op: Op, at: number): Signal {
  if (op.kind === 'member') return { kind: 'member', user: ANN, group: op.group.id, member: op.member, at }
  return op.kind === 'suspend'
    ? { kind: 'inactive', user: ANN, statusText: 'SUSPENDED', at }
    : { kind: 'reread', user: ANN, at }
}

/** The newest delivered evidence for and against: of a membership, or of being active. */
function newest(
  delivered: readonly Delivery[],
  says: (delivery: Delivery) => { readonly at: number; readonly yes: boolean } | undefined,
) {
  let yes = Number.NEGATIVE_INFINITY
  let no = Number.NEGATIVE_INFINITY
  for (const delivery of delivered) {
    const said = says(delivery)
    if (said?.yes) yes = Math.max(yes, said.at)
    else if (said) no = Math.max(no, said.at)
  }
  return { yes, no }
}

const membershipSaid = (id: string) => (delivery: Delivery) => {
  if (delivery.kind !== 'event') {
    // A reading of somebody suspended names no groups, which is no evidence against them.
    if (delivery.kind === 'reading' && !delivery.truth.active) return undefined
    return { at: delivery.takenAt, yes: delivery.truth.groups.some((each) => each.id === id) }
  }
  const { op, at } = delivery.moment
  if (op?.kind !== 'member' || op.group.id !== id) return undefined
  // What a hook gives is no evidence.
  return op.member && delivery.trust === 'hook' ? undefined : { at, yes: op.member }
}

const statusSaid = (delivery: Delivery) => {
  if (delivery.kind === 'list') return undefined
  if (delivery.kind === 'reading') return { at: delivery.takenAt, yes: delivery.truth.active }
  if (delivery.kind !== 'event') return undefined
  const { op, at } = delivery.moment
  return op?.kind === 'suspend' ? { at, yes: false } : undefined
}

function groupsIn(people: People): readonly string[] {
  return (people.all.get(ANN)?.known?.groups ?? []).map(({ id }) => id)
}

describe('whatever is delayed, lost, doubled or reordered', () => {
  test('nobody is in a group against the newest evidence that came in, and nobody suspended is active', () => {
    fc.assert(
      fc.property(storyArbitrary, ({ deliveries }) => {
        const people = createPeople()
        const delivered: Delivery[] = []
        for (const { at, delivery } of deliveries) {
          deliver(people, delivery, at)
          delivered.push(delivery)
          for (const id of groupsIn(people)) {
            const { yes, no } = newest(delivered, membershipSaid(id))
            expect(yes).toBeGreaterThan(no)
          }
          if (people.all.get(ANN)?.known?.status === 'active') {
            const { yes, no } = newest(delivered, statusSaid)
            expect(yes).toBeGreaterThan(no)
          }
        }
      }),
      { numRuns: 3000 },
    )
  })

  test("one reading afterwards ends in Okta's state; a list takes out who is not in it, and asks for who is", () => {
    fc.assert(
      fc.property(storyArbitrary, fc.boolean(), ({ moments, deliveries }, list) => {
        const people = createPeople()
        const truth = moments.at(-1) as Moment
        const takenAt = Math.max(truth.at, deliveries.at(-1)?.at ?? 0) + MARGIN + 1
        // Who is not known is not in any list; a list says nothing about a status.
        if (list) deliver(people, { kind: 'reading', takenAt: T0 + 1, truth: BEGINNING }, T0 + 1)
        for (const { at, delivery } of deliveries) deliver(people, delivery, at)
        const effects = deliver(people, { kind: list ? 'list' : 'reading', takenAt, truth }, takenAt)
        const wanted = (list || truth.active ? truth.groups : []).map(({ id }) => id)
        if (!list) expect(groupsIn(people).toSorted()).toEqual(wanted.toSorted())
        expect(wanted).toEqual(expect.arrayContaining([...groupsIn(people)]))
        if (groupsIn(people).length < wanted.length) expect(effects.some(({ confirm }) => confirm)).toBe(true)
        if (!list) expect(people.all.get(ANN)?.known?.status).toBe(truth.active ? 'active' : 'inactive')
      }),
      { numRuns: 3000 },
    )
  })

  test('the same again changes nothing', () => {
    fc.assert(
      fc.property(storyArbitrary, ({ deliveries }) => {
        const people = createPeople()
        for (const { at, delivery } of deliveries) {
          deliver(people, delivery, at)
          const before = JSON.stringify([groupsIn(people).toSorted(), people.all.get(ANN)?.known?.status])
          deliver(people, delivery, at)
          expect(JSON.stringify([groupsIn(people).toSorted(), people.all.get(ANN)?.known?.status])).toBe(before)
        }
      }),
      { numRuns: 1000 },
    )
  })

  test('processes that heard different things and exchange what they know agree, whoever begins', () => {
    fc.assert(
      fc.property(storyArbitrary, fc.array(fc.boolean(), { minLength: 60, maxLength: 60 }), ({ deliveries }, side) => {
        const [left, right] = [createPeople(), createPeople()]
        const delivered = deliveries.map(({ delivery }) => delivery)
        for (const [i, { at, delivery }] of deliveries.entries()) deliver(side[i] ? left : right, delivery, at)
        const [mine, theirs] = [left, right].map((people) => people.all.get(ANN)?.known)
        if (!mine || !theirs) return
        const { known } = combine(mine, theirs)
        expect(isSame(known, combine(theirs, mine).known)).toBe(true)
        for (const { id } of known.groups) {
          const { yes, no } = newest(delivered, membershipSaid(id))
          // Of a list, a process keeps what it changed; what it only confirmed is known to that process alone.
          if (!delivered.some(({ kind }) => kind === 'list')) expect(yes).toBeGreaterThan(no)
        }
      }),
      { numRuns: 2000 },
    )
  })
})

describe('news', () => {
  const read = (people: People, groups: readonly Group[], at = T0): void =>
    void people.learn(ANN, { entry: entryOf({ at, op: undefined, active: true, groups }, at), readAt: at }, at)
  const member = (each: Group, is: boolean, at: number): Signal => ({
    kind: 'member',
    user: ANN,
    group: each.id,
    member: is,
    at,
  })

  test('of somebody unknown has no effect and is no person', () => {
    const people = createPeople()
    expect(people.tell(member(group(1), true, T0), 'log', T0)).toEqual([])
    expect(people.all.size).toBe(0)
  })

  test('that came in while a person was read counts, though they were unknown then', () => {
    const people = createPeople()
    people.tell(member(group(1), false, T0 + 300), 'log', T0 + 400)
    read(people, [group(1), group(2)], T0)
    expect(groupsIn(people)).toEqual([group(2).id])
  })

  test('of a hook takes away at once and asks; what it gives is only asked for', () => {
    const people = createPeople()
    read(people, [group(1)])
    expect(people.tell(member(group(1), false, T0 + 9000), 'hook', T0 + 9000)).toEqual([
      { user: ANN, changed: true, confirm: true },
    ])
    expect(people.tell(member(group(1), true, T0 + 9500), 'hook', T0 + 9500)).toEqual([
      { user: ANN, changed: false, confirm: true },
    ])
    expect(groupsIn(people)).toEqual([])
  })

  test('of the log gives at once, if the group is known and the addition is newer than all that is', () => {
    const people = createPeople()
    read(people, [group(1)])
    people.tell({ kind: 'group', group: group(2), at: T0 }, 'log', T0)
    expect(people.tell(member(group(2), true, T0 + 9000), 'log', T0 + 9000)).toEqual([
      { user: ANN, changed: true, confirm: false },
    ])
    expect(people.tell(member(group(3), true, T0 + 9000), 'log', T0 + 9000)).toEqual([
      { user: ANN, changed: false, confirm: true },
    ])
    expect(groupsIn(people)).toEqual([group(1).id, group(2).id])
  })

  test('an addition that a reading shows, too, still outlives an earlier removal, however often both come in', () => {
    const people = createPeople()
    people.tell({ kind: 'group', group: group(1), at: T0 }, 'log', T0)
    read(people, [], T0 - 4000)
    people.tell(member(group(1), false, T0 + 200), 'log', T0 + 300)
    people.tell(member(group(1), true, T0 + 600), 'log', T0 + 700)
    for (const at of [T0 + 700, T0 + 700, T0 + 900]) {
      const entry = entryOf({ at, op: undefined, active: true, groups: [group(1)] }, at)
      expect(people.learn(ANN, { entry, readAt: at }, at)).toMatchObject({ changed: false, confirm: false })
      expect(groupsIn(people)).toEqual([group(1).id])
    }
  })

  test('an addition from before a reading that does not show it is in doubt, also when an earlier removal outlived the reading', () => {
    const people = createPeople()
    people.tell({ kind: 'group', group: group(1), at: T0 }, 'log', T0)
    read(people, [], T0)
    people.tell(member(group(1), false, T0 + 500), 'log', T0 + 600)
    read(people, [], T0 + 2300)
    expect(people.all.get(ANN)?.known?.events?.size).toBe(1)
    expect(people.tell(member(group(1), true, T0 + 1500), 'log', T0 + 3000)).toEqual([
      { user: ANN, changed: false, confirm: true },
    ])
    expect(groupsIn(people)).toEqual([])
  })

  test('a removal that one process heard long ago counts for another that never heard it', () => {
    const [left, right] = [createPeople(), createPeople()]
    for (const people of [left, right]) read(people, [group(1), group(2)])
    right.tell(member(group(1), false, T0 + 3000), 'log', T0 + 3100)
    right.tell(member(group(2), false, T0 + minutes(180)), 'log', T0 + minutes(180))
    const knownTo = (people: People): Known => people.all.get(ANN)?.known ?? expect.fail('read above')
    const [mine, theirs] = [knownTo(left), knownTo(right)]
    expect([combine(mine, theirs), combine(theirs, mine)].map(({ known }) => known.groups)).toEqual([[], []])
    expect(left.adopt(ANN, theirs, T0 + minutes(181))).toMatchObject({ changed: true })
    expect(groupsIn(left)).toEqual([])
  })

  test('an addition cannot bring back what was removed later, however long ago, and asks for nothing', () => {
    const people = createPeople()
    read(people, [group(1), group(2)])
    people.tell(member(group(1), false, T0 + minutes(1)), 'log', T0 + minutes(1))
    people.tell(member(group(2), false, T0 + minutes(200)), 'log', T0 + minutes(200))
    for (const at of [T0 + 30_000, T0 + minutes(1)]) {
      expect(people.tell(member(group(1), true, at), 'log', T0 + minutes(201))).toEqual([])
    }
    expect(groupsIn(people)).toEqual([])
  })

  test('an addition no newer than the reading is no news, whoever tells it', () => {
    const people = createPeople()
    read(people, [group(1)])
    people.tell({ kind: 'group', group: group(2), at: T0 }, 'log', T0)
    for (const trust of ['log', 'hook'] as const) {
      for (const at of [T0 - MARGIN, T0 - minutes(5)]) {
        expect(people.tell(member(group(2), true, at), trust, T0 + 100)).toEqual([])
      }
    }
    expect(people.all.get(ANN)?.known?.events).toBeUndefined()
  })

  test('an addition from before a list that does not name the person only asks, whoever was in it first', () => {
    const people = createPeople()
    read(people, [group(1)])
    people.tell({ kind: 'group', group: group(2), at: T0 }, 'log', T0)
    const list = { kind: 'members', group: group(2), members: new Set<string>() } as const
    expect(people.tell({ ...list, at: T0 + 5000, upTo: T0 + 7000 }, 'log', T0 + 7000)).toEqual([])
    for (const at of [T0 + 6000, T0 + 7000]) {
      expect(people.tell(member(group(2), true, at), 'log', T0 + 8000)).toEqual([
        { user: ANN, changed: false, confirm: true },
      ])
    }
    expect(groupsIn(people)).toEqual([group(1).id])
    expect(people.tell(member(group(2), true, T0 + 7001), 'log', T0 + 8000)).toMatchObject([{ changed: true }])
  })

  test('an addition older than one that counts does not take its place', () => {
    const people = createPeople()
    read(people, [group(1)])
    people.tell({ kind: 'group', group: group(2), at: T0 }, 'log', T0)
    people.tell(member(group(2), true, T0 + 9000), 'log', T0 + 9000)
    expect(people.tell(member(group(2), true, T0 + 5000), 'log', T0 + 9100)).toEqual([])
    expect(people.tell(member(group(2), false, T0 + 7000), 'log', T0 + 9200)).toEqual([])
    expect(groupsIn(people)).toEqual([group(1).id, group(2).id])
  })

  test('more events than are kept of one person: nothing is known of them, and they are read', () => {
    const people = createPeople()
    read(people, [group(1)])
    const told = Array.from({ length: 1001 }, (_, n) =>
      people.tell(member(group(n + 2), false, T0 + 9000 + n), 'log', T0 + 9000 + n),
    )
    expect(told.at(-1)).toEqual([{ user: ANN, changed: true, confirm: true }])
    expect(people.all.get(ANN)?.known).toBeUndefined()
    read(people, [group(1)], T0 + minutes(1))
    expect(groupsIn(people)).toEqual([group(1).id])
  })

  test('a deleted group is left by all, a renamed one is renamed for all', () => {
    const people = createPeople()
    read(people, [group(1), group(2)])
    people.tell({ kind: 'group-deleted', group: group(1).id, at: T0 + 5000 }, 'log', T0 + 6000)
    people.tell({ kind: 'group', group: group(2, 'Operations'), at: T0 + 5000 }, 'log', T0 + 6000)
    expect(people.all.get(ANN)?.known?.groups.map(({ name }) => name)).toEqual(['Operations'])
    expect(people.tell(member(group(1), true, T0 + 4000), 'log', T0 + 7000)).toEqual([])
  })

  test('an older name of a group that comes late takes the place of no newer one', () => {
    const people = createPeople()
    read(people, [group(1, 'Admins')])
    people.tell({ kind: 'group', group: group(1, 'Former admins'), at: T0 + 6000 }, 'log', T0 + 8000)
    people.tell({ kind: 'group', group: group(1, 'Admins'), at: T0 + 100 }, 'log', T0 + 9000)
    expect(people.all.get(ANN)?.known?.groups).toEqual([group(1, 'Former admins')])
  })

  test('an addition gives no name that a group had when somebody was last in it', () => {
    const people = createPeople()
    read(people, [group(1, 'Admins'), group(2)])
    people.tell(member(group(1), false, T0 + 5000), 'log', T0 + 5000)
    read(people, [group(2)], T0 + 9000)
    people.forgetNames()
    expect(people.tell(member(group(1), true, T0 + 12_000), 'log', T0 + 12_000)).toEqual([
      { user: ANN, changed: false, confirm: true },
    ])
    people.tell(member(group(2), false, T0 + 13_000), 'log', T0 + 13_000)
    expect(groupsIn(people)).toEqual([])
  })

  test('a suspension counts at once, and a reading that is hardly newer does not end it', () => {
    const people = createPeople()
    read(people, [group(1)])
    const suspended: Signal = { kind: 'inactive', user: ANN, statusText: 'SUSPENDED', at: T0 + 9000 }
    expect(people.tell(suspended, 'log', T0 + 9500)).toEqual([{ user: ANN, changed: true, confirm: true }])
    const entry = entryOf({ at: T0, op: undefined, active: true, groups: [group(1)] }, T0 + 10_000)
    expect(people.learn(ANN, { entry, readAt: T0 + 10_000 }, T0 + 10_000)).toMatchObject({ confirm: true })
    expect(people.all.get(ANN)?.known).toMatchObject({ status: 'inactive', statusText: 'SUSPENDED' })
    read(people, [group(1)], T0 + 12_000)
    expect(people.all.get(ANN)?.known?.status).toBe('active')
  })
})
