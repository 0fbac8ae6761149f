/** A policy that is tried out beside the one in force: what it would change is logged and counted, and nothing changes. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createTestWorld, type World } from '../support/world.ts'

const APP = 'http://app.localhost'
const PUBLIC = 'http://public.localhost'
const PLAIN = 'http://plain.localhost'

let world: World
beforeAll(async () => {
  world = await createTestWorld({
    config: { metrics_address: '127.0.0.1:0', policies: { engineers: { allow: { or: [{ groups: 'Engineering' }] } } } },
    routes: [
      { name: 'app', from: APP, prefix: '/x', allow_any_authenticated_user: true, shadow_policy: 'engineers' },
      {
        name: 'closed',
        from: APP,
        prefix: '/closed',
        allowed_users: ['nobody@example.com'],
        shadow_policy: { allow: { or: [{ accept: true }] } },
      },
      {
        name: 'faulty',
        from: APP,
        prefix: '/faulty',
        allow_any_authenticated_user: true,
        shadow_policy: { allow: { or: [{ 'http_query/a': 'b' }] } },
      },
      { name: 'public', from: PUBLIC, allow_public_unauthenticated_access: true, shadow_policy: 'engineers' },
      { name: 'plain', from: PLAIN, allow_public_unauthenticated_access: true },
    ],
  })
})
afterAll(() => world.close())

function last(route: string): Record<string, unknown> | undefined {
  return world.log().findLast((line) => line['route'] === route)
}

describe('signed in', () => {
  test('what would change is logged with who it would change for', async () => {
    const bob = world.browser()
    expect((await world.signIn(bob, `${APP}/x`, 'bob@example.com')).status).toBe(200)
    expect(last('app')).toMatchObject({
      email: 'bob@example.com',
      decision: 'allow',
      shadow_decision: 'deny',
      shadow_reasons: ['groups-unauthorized'],
    })
    expect((await bob.go(`${APP}/closed`)).status).toBe(403)
    expect(last('closed')).toMatchObject({ decision: 'deny', shadow_decision: 'allow', shadow_reasons: ['accept'] })
  })

  test('a fault in it is a denial of its own', async () => {
    const bob = world.browser()
    expect((await world.signIn(bob, `${APP}/faulty?a=1&a=2`, 'bob@example.com')).status).toBe(200)
    expect(last('faulty')).toMatchObject({
      decision: 'allow',
      shadow_decision: 'deny',
      shadow_reasons: ['policy-error'],
    })
  })
})

describe('on a public route', () => {
  test('who is signed in is looked up for it alone, and a credential that is none is nobody', async () => {
    const browser = world.browser()
    expect((await browser.ask(PUBLIC, { headers: { cookie: 'postern=v1.nonsense' } })).status).toBe(200)
    expect(last('public')).toMatchObject({ decision: 'allow', shadow_decision: 'sign-in' })
    const alice = world.browser()
    await world.signIn(alice, `${PUBLIC}/.postern/sign_in`, 'alice@example.com')
    const answer = await alice.go(PUBLIC)
    expect(answer.status).toBe(200)
    expect(last('public')).toMatchObject({ email: 'alice@example.com', shadow_decision: 'allow' })
    const { headers } = JSON.parse(answer.body) as { headers: Record<string, string> }
    expect(Object.keys(headers).filter((name) => name.startsWith('x-postern-claim'))).toEqual([])
  })
})

test('it is counted by decision, and a route without one says nothing', async () => {
  await world.browser().ask(PLAIN)
  expect(last('plain')).not.toHaveProperty('shadow_decision')
  const port = world.app.operations.metrics?.address.port
  const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text()
  expect(text).toContain('postern_authz_shadow_decisions_total{route="app",decision="allow",shadow_decision="deny"} 1')
  expect(text).toContain(
    'postern_authz_shadow_decisions_total{route="closed",decision="deny",shadow_decision="allow"} 1',
  )
  expect(text).not.toMatch(/shadow_decisions_total\{route="plain"/)
})
