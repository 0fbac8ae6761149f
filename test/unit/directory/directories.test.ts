import { afterEach, beforeEach, expect, test } from 'vitest'
import type { DirectoryConfig } from '../../../src/config/model.ts'
import { entryFromClaims } from '../../../src/directory/claims.ts'
import { type Directories, openDirectories } from '../../../src/directory/directories.ts'
import type { DirectoryScope } from '../../../src/directory/open.ts'
import { personKey } from '../../../src/lib/person.ts'
import { silentLogger } from '../../../src/lib/log.ts'
import { Secret } from '../../../src/lib/secret.ts'
import { createMemoryStore } from '../../../src/store/memory.ts'
import type { PersonKey, Store } from '../../../src/types.ts'
import { type ManualClock, manualClock } from '../../support/clock.ts'

const STAFF = 'https://org.okta.example'
const PARTNERS = 'https://login.partner.example'
const STRANGERS = 'https://nobody.example'
const ann = (issuer: string): PersonKey => personKey({ issuer, subject: '00ann' })
const TIMES = { refreshInterval: 60_000, maxStaleness: 3_600_000, signInTimeout: 5000 }
const SCIM_URL = new URL('https://authenticate.corp.example/.postern/scim/v2')

const claims = (issuer: string): DirectoryScope => ({
  issuer,
  apps: ['app'],
  config: { ...TIMES, kind: 'claims', order: [] },
})
const written = (issuer: string, ...groups: readonly string[]): DirectoryScope => ({
  issuer,
  apps: ['app'],
  config: { ...TIMES, kind: 'local', order: ['static'], people: [{ id: '00ann', groups }] },
})
const pushed = (issuer: string, token: string): DirectoryScope => {
  const config: DirectoryConfig = { ...TIMES, kind: 'local', order: ['scim'], scim: { token: new Secret(token) } }
  return { issuer, apps: ['app'], config }
}

let clock: ManualClock
let store: Store
let open: Directories[]
beforeEach(() => {
  clock = manualClock()
  store = createMemoryStore({ clock })
  open = []
})
afterEach(async () => {
  for (const each of open) await each.close()
  await store.close()
})

async function opened(...scopes: readonly [DirectoryScope, ...DirectoryScope[]]): Promise<Directories> {
  const directories = openDirectories({
    scopes,
    store,
    clock,
    logger: silentLogger,
    routes: () => [],
    scimUrl: () => SCIM_URL,
  })
  open.push(directories)
  await directories.start()
  return directories
}

function groupsOf({ directory }: Directories, person: PersonKey): readonly string[] | 'unknown' {
  const membership = directory.membership(person)
  return membership === 'unknown' ? membership : membership.groups.map(({ name }) => name)
}

const signal = () => new AbortController().signal

test('equal subjects of two issuers have the groups of their own directory each', async () => {
  const of = await opened(written(STAFF, 'Engineering'), written(PARTNERS, 'Guests'))
  await of.directory.refresh(ann(STAFF), signal())
  await of.directory.refresh(ann(PARTNERS), signal())
  expect(groupsOf(of, ann(STAFF))).toEqual(['Engineering'])
  expect(groupsOf(of, ann(PARTNERS))).toEqual(['Guests'])
})

test('of people of an issuer that is not configured nothing is known, whatever is said of them', async () => {
  const of = await opened(written(STAFF, 'Engineering'), claims(PARTNERS))
  const entry = entryFromClaims('00ann', [{ id: 'Admins', name: 'Admins', type: 'CLAIM' }], clock.now())
  of.directory.observe(ann(STRANGERS), entry)
  expect(await of.directory.refresh(ann(STRANGERS), signal())).toBe('unknown')
  expect(groupsOf(of, ann(STRANGERS))).toBe('unknown')
  expect(of.directory.status(ann(STRANGERS))).toBe('unknown')
})

test('what a sign-in claims counts for its own issuer, and never where a directory is read', async () => {
  const of = await opened(written(STAFF, 'Engineering'), claims(PARTNERS))
  const entry = entryFromClaims('00ann', [{ id: 'Admins', name: 'Admins', type: 'CLAIM' }], clock.now())
  of.directory.observe(ann(PARTNERS), entry)
  of.directory.observe(ann(STAFF), entry)
  await of.directory.refresh(ann(STAFF), signal())
  expect(groupsOf(of, ann(PARTNERS))).toEqual(['Admins'])
  expect(groupsOf(of, ann(STAFF))).toEqual(['Engineering'])
})

test('a change is told with the issuer of whom it is about', async () => {
  const of = await opened(claims(STAFF), claims(PARTNERS))
  const told: string[] = []
  const stop = of.directory.onChange((person) => void told.push(person))
  const observe = (...names: readonly string[]): void => {
    const groups = names.map((name) => ({ id: name, name, type: 'CLAIM' as const }))
    of.directory.observe(ann(PARTNERS), entryFromClaims('00ann', groups, clock.now()))
  }
  observe('Admins')
  clock.advance(60_000)
  observe()
  expect(told).toEqual([ann(PARTNERS)])
  stop()
  await of.directory.forget(ann(PARTNERS))
  expect(told).toHaveLength(1)
})

test('a token for pushes speaks of the people of its own issuer', async () => {
  const of = await opened(pushed(STAFF, 'the-token-of-staff-1'), pushed(PARTNERS, 'the-token-of-partners'))
  const user = {
    schemas: ['urn:ietf:params:scim:schemas:core:2.0:User'],
    userName: 'ann@partner.example',
    externalId: '00ann',
    active: false,
  }
  const push = (token: string, method: string, path: string, body = '') =>
    of.scim?.handle({ method, path, query: new URLSearchParams(), authorization: `Bearer ${token}`, body })
  expect(await push('the-token-of-nobody', 'GET', '/Users')).toMatchObject({ status: 401 })
  expect(await push('the-token-of-partners', 'POST', '/Users', JSON.stringify(user))).toMatchObject({ status: 201 })
  for (const issuer of [STAFF, PARTNERS]) await of.directory.refresh(ann(issuer), signal())
  expect(of.directory.status(ann(PARTNERS))).toBe('inactive')
  expect(of.directory.status(ann(STAFF))).not.toBe('active')
  const list = await push('the-token-of-staff-1', 'GET', '/Users')
  expect(JSON.parse(list?.body ?? '{}')).toMatchObject({ totalResults: 0 })
})

test('one process leads for all issuers, and serves what another one asks for people of each', async () => {
  const leader = await opened(written(STAFF, 'Engineering'), written(PARTNERS, 'Guests'))
  const follower = await opened(written(STAFF, 'Engineering'), written(PARTNERS, 'Guests'))
  await follower.directory.refresh(ann(PARTNERS), signal())
  await follower.directory.refresh(ann(STAFF), signal())
  await expect.poll(() => groupsOf(follower, ann(PARTNERS))).toEqual(['Guests'])
  expect(groupsOf(follower, ann(STAFF))).toEqual(['Engineering'])
  expect(leader.metrics()).toMatchObject({ people: 2 })
})
