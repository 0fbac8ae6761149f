import { expect, test } from 'vitest'
import type { Forward, Route } from '../../../src/config/route-model.ts'
import type { Membership } from '../../../src/directory/model.ts'
import { personKey } from '../../../src/lib/person.ts'
import { FOREVER } from '../../../src/lib/time.ts'
import { createSessionAuthenticator } from '../../../src/session/authenticator.ts'
import type { IdentityProvider } from '../../../src/types.ts'
import type { Session, Sessions } from '../../../src/session/model.ts'
import { facts } from '../upstream/support.ts'

const identity = { issuer: 'https://idp.test', subject: 'ann', claims: {} }
const session = { id: 'session-1', person: personKey(identity), identity, expiresAt: FOREVER } as unknown as Session
const cookieNames = { https: { session: '__Host-postern' }, http: { session: 'postern' } } as Parameters<
  typeof createSessionAuthenticator
>[0]['cookieNames']
const route = (scheme: 'http' | 'https') => ({ from: { scheme } }) as Route<Forward>

function authenticator(read: Sessions['read']) {
  let membership: Membership | 'unknown' = 'unknown'
  let stored: Membership | 'unknown' = 'unknown'
  const made = createSessionAuthenticator({
    sessions: { read, seen: () => {} },
    directory: {
      membership: () => membership,
      status: () => 'active',
      async recall() {
        await Promise.resolve()
        membership = stored
      },
    },
    refresher: { fresh: (found) => found },
    idps: { of: ({ provider }) => (provider === 'gone' ? undefined : ({ name: 'default' } as IdentityProvider)) },
    cookieNames,
  })
  return { made, groups: (next: Membership) => (membership = next), elsewhere: (next: Membership) => (stored = next) }
}

test('identify reads the cookie that the scheme of the route allows, for the host that was asked', () => {
  const asked: unknown[] = []
  const { made } = authenticator((...args) => void asked.push(args))
  expect(made.identify(facts({ cookie: 'a=b' }), route('https'), FOREVER)).toBeUndefined()
  expect(made.identify(facts({ cookie: 'a=b' }), route('http'), FOREVER)).toBeUndefined()
  expect(asked).toEqual([
    ['a=b', '__Host-postern', 'app.test', FOREVER],
    ['a=b', 'postern', 'app.test', FOREVER],
  ])
})

test('identify answers at once for a session at hand, with what is known now of the groups', () => {
  const { made, groups } = authenticator(() => session)
  const who = made.identify(facts(), route('http'), FOREVER)
  expect(who).toEqual({
    kind: 'session',
    provider: 'default',
    person: session.person,
    identity,
    sessionId: 'session-1',
    expiresAt: FOREVER,
    membership: 'unknown',
    status: 'active',
  })
  const known = { groups: [] } as unknown as Membership
  groups(known)
  expect(made.identify(facts(), route('http'), FOREVER)).toMatchObject({ membership: known })
})

test('with a session that has to be read, what another process knows of the person is read, too', async () => {
  const known = { groups: [] } as unknown as Membership
  const { made, elsewhere } = authenticator(() => Promise.resolve(session))
  elsewhere(known)
  await expect(made.identify(facts(), route('http'), FOREVER)).resolves.toMatchObject({ membership: known })
})

test('identify waits for a session that has to be read; one that cannot be read rejects', async () => {
  await expect(
    authenticator(() => Promise.resolve(session)).made.identify(facts(), route('http'), FOREVER),
  ).resolves.toMatchObject({ sessionId: 'session-1' })
  await expect(
    authenticator(() => Promise.resolve(undefined)).made.identify(facts(), route('http'), FOREVER),
  ).resolves.toBeUndefined()
  await expect(
    authenticator(() => Promise.reject(new Error('disk'))).made.identify(facts(), route('http'), FOREVER),
  ).rejects.toThrow('disk')
})

test('a session of a provider that is not configured any more is nobody', async () => {
  const gone = { ...session, provider: 'gone' }
  expect(authenticator(() => gone).made.identify(facts(), route('http'), FOREVER)).toBeUndefined()
  const read = authenticator(() => Promise.resolve(gone)).made.identify(facts(), route('http'), FOREVER)
  await expect(read).resolves.toBeUndefined()
})
