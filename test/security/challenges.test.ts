/** What a program learns from a 401, and what a browser does not get. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createGauntlet, type Gauntlet, only, request } from '../support/gauntlet.ts'

let gauntlet: Gauntlet
beforeAll(async () => {
  gauntlet = await createGauntlet({
    moreRoutes: [{ name: 'metadata', prefix: '/.well-known', allow_any_authenticated_user: true }],
  })
})
afterAll(async () => {
  await gauntlet.expectUnharmed()
  await gauntlet.close()
})

const METADATA = 'http://app.localhost/.postern/oauth-protected-resource'

test('the metadata that a 401 points at is there for anybody, scripts of other sites included', async () => {
  const refused = only((await gauntlet.get('/user')).answers)
  expect(refused.header('www-authenticate')).toContain(`resource_metadata="${METADATA}"`)
  const { answers, received } = await gauntlet.get(new URL(METADATA).pathname, 'Origin: https://elsewhere.example')
  const answer = only(answers)
  expect(answer.status).toBe(200)
  expect(answer.header('access-control-allow-origin')).toBe('*')
  expect(JSON.parse(answer.body)).toEqual({ resource: 'http://app.localhost', bearer_methods_supported: ['header'] })
  expect(received).toEqual([])
})

test("the application keeps its own metadata at the standard's address", async () => {
  const { received } = await gauntlet.get(
    '/.well-known/oauth-protected-resource',
    `Cookie: ${gauntlet.cookies['alice']}`,
  )
  expect(only(received).target).toBe('/.well-known/oauth-protected-resource')
})

test.each([
  ['pip', 'application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html; q=0.1, text/html; q=0.01', 401],
  ['a program that takes HTML last', 'application/json, text/html;q=0', 401],
  ['a browser', 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8', 302],
  ['a browser that prefers XHTML', 'text/html;q=0.5,application/xhtml+xml', 302],
  ['a text browser', 'text/html, text/*;q=0.5, image/*', 302],
])('%s: HTML that is only taken if there is nothing better asks for no page', async (_, accept, status) => {
  expect((await gauntlet.send(request('GET', '/user', `Accept: ${accept}`))).statuses).toEqual([status])
})
