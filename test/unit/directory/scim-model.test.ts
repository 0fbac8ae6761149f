/** Any sequence of pushes leaves what a naive model of SCIM leaves, and tells everybody whom it concerns. */
import * as fc from 'fast-check'
import { setImmediate as turn } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { assertNever } from '../../../src/errors.ts'
import { createMemoryStore } from '../../../src/store/memory.ts'
import { manualClock } from '../../support/clock.ts'
import { type Instance, scimInstance } from './scim-world.ts'

const PEOPLE = ['ann', 'bob', 'cid', '__proto__'] as const
const GROUPS = ['A', 'B', 'constructor'] as const
type Person = (typeof PEOPLE)[number]
type Group = (typeof GROUPS)[number]

const person = fc.constantFrom(...PEOPLE)
const people = fc.uniqueArray(person, { maxLength: PEOPLE.length })
const group = fc.constantFrom(...GROUPS)

type Change =
  | { readonly kind: 'add' | 'replace' | 'add-alongside' | 'replace-alongside'; readonly people: readonly Person[] }
  | { readonly kind: 'remove' | 'remove-value'; readonly person: Person }
  | { readonly kind: 'clear' }

type Step =
  | { readonly kind: 'patch'; readonly group: Group; readonly changes: readonly Change[]; readonly spoiled: boolean }
  | { readonly kind: 'put'; readonly group: Group; readonly people: readonly Person[] | undefined }
  | { readonly kind: 'delete-group'; readonly group: Group }
  | { readonly kind: 'active'; readonly person: Person; readonly active: boolean; readonly dialect: 'PATCH' | 'PUT' }
  | { readonly kind: 'rewrite'; readonly person: Person }
  | { readonly kind: 'delete-person'; readonly person: Person }

const change: fc.Arbitrary<Change> = fc.oneof(
  fc.record({ kind: fc.constantFrom('add', 'replace', 'add-alongside', 'replace-alongside'), people }),
  fc.record({ kind: fc.constantFrom('remove', 'remove-value'), person }),
  fc.record({ kind: fc.constant('clear') }),
)
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('patch'),
      group,
      changes: fc.array(change, { minLength: 1, maxLength: 4 }),
      spoiled: fc.nat(5).map((n) => n === 0),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant('put'), group, people: fc.option(people, { nil: undefined }) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('delete-group'), group }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('active'),
      person,
      active: fc.boolean(),
      dialect: fc.constantFrom('PATCH', 'PUT'),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('rewrite'), person }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('delete-person'), person }) },
)

/** Sets of names. Nothing is shared with the code under test but the meaning of the words. */
interface Model {
  readonly active: Map<Person, boolean>
  readonly members: Map<Group, Set<Person>>
}

function applyChange(members: Set<Person>, of: Change): void {
  switch (of.kind) {
    case 'replace':
    case 'replace-alongside':
      members.clear()
      for (const one of of.people) members.add(one)
      return
    case 'add':
    case 'add-alongside':
      for (const one of of.people) members.add(one)
      return
    case 'remove':
    case 'remove-value':
      members.delete(of.person)
      return
    case 'clear':
      members.clear()
  }
}

function applyStep({ active, members }: Model, of: Step): void {
  switch (of.kind) {
    case 'patch': {
      if (of.spoiled) return
      const draft = new Set(members.get(of.group))
      for (const one of of.changes) applyChange(draft, one)
      members.set(of.group, draft)
      return
    }
    case 'put':
      members.set(of.group, new Set(of.people))
      return
    case 'delete-group':
      members.delete(of.group)
      return
    case 'active':
      active.set(of.person, of.active)
      return
    case 'rewrite':
      return
    case 'delete-person':
      active.delete(of.person)
      for (const group of members.values()) group.delete(of.person)
  }
}

function expected({ active, members }: Model, of: Person): string {
  const isActive = active.get(of)
  if (isActive === undefined) return 'unknown'
  const groups = GROUPS.filter((name) => members.get(name)?.has(of))
  return isActive ? ['active', ...groups].join(' ') : 'inactive'
}

/** The client: knows our ids, creates what is not there, and speaks both dialects. */
function createClient(instance: Instance) {
  const userIds = new Map<Person, string>()
  const groupIds = new Map<Group, string>()

  async function send(method: string, path: string, body: object | undefined, status: number): Promise<string> {
    const answer = await instance.send(method, path, body)
    expect(answer.status).toBe(status)
    return answer.body.id
  }
  async function userOf(name: Person): Promise<string> {
    const id =
      userIds.get(name) ?? (await send('POST', '/Users', { userName: name, externalId: name, active: true }, 201))
    userIds.set(name, id)
    return id
  }
  async function groupOf(name: Group): Promise<string> {
    const id = groupIds.get(name) ?? (await send('POST', '/Groups', { displayName: name }, 201))
    groupIds.set(name, id)
    return id
  }
  const membersOf = async (names: readonly Person[]) =>
    (await Promise.all(names.map(userOf))).map((value) => ({ value }))

  async function operation(of: Change): Promise<object> {
    switch (of.kind) {
      case 'add':
      case 'replace':
        return { op: of.kind, path: 'members', value: await membersOf(of.people) }
      case 'add-alongside':
        return { op: 'add', value: { members: await membersOf(of.people) } }
      case 'replace-alongside':
        return { op: 'Replace', value: { members: await membersOf(of.people) } }
      case 'remove':
        return { op: 'remove', path: `members[value eq "${await userOf(of.person)}"]` }
      case 'remove-value':
        return { op: 'remove', path: 'members', value: await membersOf([of.person]) }
      case 'clear':
        return { op: 'remove', path: 'members' }
      default:
        return assertNever(of)
    }
  }

  return {
    userOf,
    groupOf,
    async push(of: Step): Promise<void> {
      switch (of.kind) {
        case 'patch': {
          const id = await groupOf(of.group)
          const rename = { op: 'replace', value: { id, displayName: of.group } }
          const Operations: object[] = [rename]
          for (const one of of.changes) Operations.push(await operation(one))
          if (of.spoiled) Operations.push({ op: 'add', path: '__proto__.polluted', value: '1' })
          await send('PATCH', `/Groups/${id}`, { Operations }, of.spoiled ? 400 : 200)
          return
        }
        case 'put': {
          const members = of.people && (await membersOf(of.people))
          await send('PUT', `/Groups/${await groupOf(of.group)}`, { displayName: of.group, members }, 200)
          return
        }
        case 'delete-group':
          await send('DELETE', `/Groups/${await groupOf(of.group)}`, undefined, 204)
          groupIds.delete(of.group)
          return
        case 'active': {
          const path = `/Users/${await userOf(of.person)}`
          const { active } = of
          if (of.dialect === 'PUT') await send('PUT', path, { userName: of.person, active, groups: [] }, 200)
          else await send('PATCH', path, { Operations: [{ op: 'replace', value: { active } }] }, 200)
          return
        }
        case 'rewrite':
          await send('PUT', `/Users/${await userOf(of.person)}`, { userName: of.person, displayName: 'x' }, 200)
          return
        case 'delete-person':
          await send('DELETE', `/Users/${await userOf(of.person)}`, undefined, 204)
          userIds.delete(of.person)
      }
    },
  }
}

/** Whom a step is about; the client creates them first, so the model does. */
function named(of: Step): readonly Person[] {
  switch (of.kind) {
    case 'patch':
      return of.changes.flatMap((one) => ('people' in one ? one.people : 'person' in one ? [one.person] : []))
    case 'put':
      return of.people ?? []
    case 'delete-group':
      return []
    default:
      return [of.person]
  }
}

test('any sequence of pushes ends in the same people and groups as a naive model', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
      const clock = manualClock()
      const store = createMemoryStore({ clock })
      const instance = scimInstance({ store, clock })
      const peer = scimInstance({ store, clock })
      await Promise.all([instance.scim.start(), peer.scim.start()])
      const client = createClient(instance)
      const model: Model = { active: new Map(), members: new Map() }
      const state = () => PEOPLE.map((one) => expected(model, one))
      const seen = (of: Instance) => Promise.all(PEOPLE.map((one) => of.look(one)))
      const told = new Set<string>()
      peer.scim.onChange((subject) => told.add(subject))
      try {
        for (const of of steps) {
          for (const one of named(of)) {
            await client.userOf(one)
            if (!model.active.has(one)) model.active.set(one, true)
          }
          await turn()
          const before = state()
          told.clear()
          await client.push(of)
          applyStep(model, of)
          expect(await seen(instance)).toEqual(state())
          await turn()
          expect(await seen(peer)).toEqual(state())
          const changed = PEOPLE.filter((_, n) => before[n] !== state()[n])
          for (const one of changed) expect(told).toContain(one)
        }
        const restarted = scimInstance({ store, clock })
        expect(await seen(restarted)).toEqual(state())
        await restarted.scim.close()
      } finally {
        await Promise.all([instance.scim.close(), peer.scim.close()])
        await store.close()
      }
    }),
    { numRuns: 150 },
  )
  expect(({} as Record<string, unknown>)['polluted']).toBeUndefined()
})
