/** The whole path on the running program: sign in with Okta, read the groups, decide per route, forward. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createTestWorld, type World } from '../support/world.ts'

let world: World
beforeAll(async () => {
  world = await createTestWorld()
})
afterAll(() => world.close())

describe('sign-in', () => {
  test('a person in the group reaches the application with a signed identity', async () => {
    const browser = world.browser()
    const answer = await world.signIn(browser, 'http://engineering.localhost/wiki?a=1&b=%2F', 'alice@example.com')
    expect(answer.status).toBe(200)
    expect(answer.url.href).toBe('http://engineering.localhost/wiki?a=1&b=%2F')
    const seen = JSON.parse(answer.body) as { url: string; headers: Record<string, string> }
    expect(seen.url).toBe('/wiki?a=1&b=%2F')
    expect(seen.headers['x-postern-claim-email']).toBe('alice@example.com')
    expect(seen.headers['x-postern-jwt-assertion']).toMatch(/^eyJ/)
    expect(seen.headers['cookie']).toBeUndefined()
  })
})
