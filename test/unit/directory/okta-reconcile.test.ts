import { expect, test } from 'vitest'
import { AppError } from '../../../src/errors.ts'
import type { Known } from '../../../src/directory/evidence.ts'
import type { CallOptions, OktaClient, Query } from '../../../src/directory/okta/client.ts'
import { createReconcile, type Reconcile } from '../../../src/directory/okta/reconcile.ts'
import type { Signal } from '../../../src/directory/signals.ts'
import { manualClock } from '../../support/clock.ts'
import { recordedLog } from './recorded-log.ts'
import { oktaGroup } from './scripted-okta.ts'

const { signal } = new AbortController()
const MINUTE = 60_000
const ENG = '00g1engEngEngEngEng1'
const OPS = '00g1opsOpsOpsOpsOps1'
const ANN = '00u1annAnnAnnAnnAnn1'

type Pages = readonly (readonly object[] | AppError)[]

/** `lists`: by path the pages of a list; a fault instead of a page is thrown. `behind`: Okta's clock, behind ours. */
function world({ lists = {}, wanted = [], known = [], behind = 0 }: Partial<World> = {}) {
  const clock = manualClock()
  const asked: { path: string; query: Query; options: CallOptions }[] = []
  const absorbed: Signal[] = []
  const now: World = { lists, wanted, known, behind }
  const client: Pick<OktaClient, 'pages' | 'lead'> = {
    lead: () => now.behind,
    async *pages(path, query, options) {
      asked.push({ path, query, options })
      const all = now.lists[path] ?? [[]]
      for (const [i, body] of all.entries()) {
        if (body instanceof AppError) throw body
        const next = i + 1 < all.length ? 'there is more' : undefined
        yield { body, date: clock.now() - now.behind, next }
      }
    },
  }
  const log = recordedLog()
  const reconcile = createReconcile({
    client: client as OktaClient,
    directory: {
      absorb: async (signals) => void absorbed.push(...signals),
      *known() {
        for (const [user, groups] of now.known)
          yield [user, { status: 'active', groups, readAt: clock.now() } as unknown as Known]
      },
    },
    clock,
    logger: log,
    wanted: () => now.wanted,
  })
  return { clock, asked, absorbed, now, log, reconcile }
}

interface World {
  lists: Readonly<Record<string, Pages>>
  wanted: readonly string[]
  known: readonly (readonly [user: string, groups: Known['groups']])[]
  behind: number
}

const group = (id: string, name: string, changedAt: number): object => ({
  ...oktaGroup(id, name),
  lastUpdated: new Date(changedAt).toISOString(),
  lastMembershipUpdated: new Date(changedAt).toISOString(),
})
const held = (id: string, name: string): Known['groups'][number] => ({ id, name, type: 'OKTA_GROUP' })
const away = new AppError('ERR_DIRECTORY_UNREACHABLE', 'away')
const membersOf = (id: string): string => `/api/v1/groups/${id}/users`

/** Since when a list was asked for, each time. */
const sinceOf = ({ asked }: ReturnType<typeof world>, path: string): readonly number[] =>
  asked.flatMap(({ path: each, query }) =>
    each === path ? [Date.parse(/gt "([^"]+)"/.exec(query['filter'] ?? '')?.[1] ?? '')] : [],
  )
const changes = (of: ReturnType<typeof world>, scope: Parameters<Reconcile['changes']>[0]): Promise<unknown> =>
  of.reconcile.changes(scope, of.clock.now(), signal).catch((error: unknown) => error)

test.each([
  ['policies', 'reconcile'],
  ['all', 'background'],
] as const)('a comparison of what changed, scope %s, has the priority %s', async (scope, priority) => {
  const of = world()
  await changes(of, scope)
  expect(of.asked.map(({ path, options }) => `${path} ${options.priority}`)).toEqual([
    `/api/v1/users ${priority}`,
    `/api/v1/groups ${priority}`,
  ])
})

test('what could not be worked on to its end is asked for again, however much changed since', async () => {
  const of = world()
  const begun = of.clock.now()
  const changedAt = (at: number): string => new Date(at).toISOString()
  const twoGroups = (): object[] => [group(ENG, 'Engineering', begun - 1000), group(OPS, 'Ops', of.clock.now())]
  const onePerson = (): object[] => [{ id: ANN, status: 'ACTIVE', lastUpdated: changedAt(of.clock.now()) }]
  for (let minute = 0; minute < 5; minute++) {
    of.now.lists = { '/api/v1/groups': [twoGroups()], [membersOf(ENG)]: [away], '/api/v1/users': [onePerson(), away] }
    expect(await changes(of, 'all')).toBe(away)
    of.now.lists = { ...of.now.lists, '/api/v1/users': [[]] }
    expect(await changes(of, 'all')).toBe(away)
    of.clock.advance(MINUTE)
  }
  for (const path of ['/api/v1/users', '/api/v1/groups'])
    expect([...new Set(sinceOf(of, path))]).toEqual([begun - MINUTE])
  of.now.lists = { '/api/v1/groups': [twoGroups()], '/api/v1/users': [onePerson()] }
  expect(await changes(of, 'all')).toBeUndefined()
  expect(of.absorbed).toContainEqual(expect.objectContaining({ kind: 'members', group: held(ENG, 'Engineering') }))
  await changes(of, 'all')
  for (const path of ['/api/v1/users', '/api/v1/groups']) expect(sinceOf(of, path).at(-1)).toBe(begun + 4 * MINUTE)
})

test('a group that changes its name in the future has it from now on, and no longer than until the next', async () => {
  const of = world({ known: [[ANN, [held(ENG, 'Engineering')]]] })
  of.now.lists = { '/api/v1/groups': [[group(ENG, 'Builders', of.clock.now() + 1000 * MINUTE)]] }
  const renamed = { kind: 'group', group: held(ENG, 'Builders'), at: of.clock.now() }
  await changes(of, 'policies')
  await of.reconcile.catalogue(signal)
  expect(of.absorbed).toEqual([renamed, renamed])
})

test('a group whose members cannot be read waits for all others', async () => {
  const of = world({ wanted: [ENG, OPS] })
  of.now.lists = {
    '/api/v1/groups': [[group(ENG, 'Engineering', of.clock.now()), group(OPS, 'Ops', of.clock.now())]],
    [membersOf(ENG)]: [away],
  }
  const read = (): readonly string[] =>
    of.asked.splice(0).flatMap(({ path }) => /groups\/(.*)\/users/.exec(path)?.[1] ?? [])
  await changes(of, 'policies')
  expect(read()).toEqual([ENG])
  await changes(of, 'policies')
  expect(read()).toEqual([OPS, ENG])
  await of.reconcile.members(signal).catch(() => {})
  expect(read()).toEqual([OPS, ENG])
})

test('without the log, whoever is in a group whose members cannot be compared is read', async () => {
  const refused = new AppError('ERR_DIRECTORY_FORBIDDEN', 'refused')
  const unreadable = [{ id: ANN }]
  for (const page of [refused, unreadable]) {
    const of = world({ known: [[ANN, [held(ENG, 'Engineering')]]] })
    of.now.lists = { '/api/v1/groups': [[group(ENG, 'Engineering', of.clock.now())]], [membersOf(ENG)]: [page] }
    expect(await changes(of, 'policies')).toBeUndefined()
    expect(of.absorbed).not.toContainEqual(expect.objectContaining({ kind: 'reread' }))
    expect(await changes(of, 'all')).toBeUndefined()
    expect(of.absorbed).toContainEqual({ kind: 'reread', user: ANN, at: of.clock.now() })
  }
})

test('a list of members that is too long for a repair is not begun again before the next list of all groups', async () => {
  const tooLong = new AppError('ERR_DIRECTORY_BAD_ANSWER', 'more than 100 pages', { details: { pages: 100 } })
  const of = world({ wanted: [ENG] })
  const lists = (): void => {
    of.now.lists = { '/api/v1/groups': [[group(ENG, 'Engineering', of.clock.now())]], [membersOf(ENG)]: [tooLong] }
  }
  const times = (): number => of.asked.filter(({ path }) => path === membersOf(ENG)).length
  for (let minute = 0; minute < 3; minute++) {
    lists()
    expect(await changes(of, 'policies')).toBeUndefined()
    of.clock.advance(MINUTE)
  }
  expect(times()).toBe(1)
  await of.reconcile.catalogue(signal)
  lists()
  await changes(of, 'policies')
  expect(times()).toBe(2)
  const [{ options } = { options: undefined }] = of.asked.filter(({ path }) => path === membersOf(ENG))
  expect(options?.mostPages).toBeUndefined()
  lists()
  await changes(of, 'all')
  expect(of.asked.at(-1)?.options.mostPages).toBe(5000)
})

test('the list of all groups that is given up half way drops no group', async () => {
  const of = world({ wanted: ['Ops'] })
  of.now.lists = { '/api/v1/groups': [[group(ENG, 'Engineering', 0)], [group(OPS, 'Ops', 0)]] }
  await of.reconcile.catalogue(signal)
  await of.reconcile.catalogue(signal, async () => false)
  of.asked.length = 0
  await of.reconcile.members(signal)
  expect(of.asked.map(({ path }) => path)).toEqual([membersOf(OPS)])
  of.now.lists = { '/api/v1/groups': [[group(ENG, 'Engineering', 0)]] }
  await of.reconcile.catalogue(signal)
  of.asked.length = 0
  await of.reconcile.members(signal)
  expect(of.asked).toEqual([])
})

test('`Everyone` is no group that a list must name', async () => {
  const of = world({ wanted: ['Everyone', 'Nobody'], lists: { '/api/v1/groups': [[group(ENG, 'Engineering', 0)]] } })
  await of.reconcile.catalogue(signal)
  expect(of.log.lines.map(({ fields }) => (fields as { group?: string }).group)).toEqual(['Nobody'])
})
