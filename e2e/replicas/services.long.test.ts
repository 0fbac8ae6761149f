/** The sign-in service in one process and the routes in two others, on Redis: the proxies have no secret but the shared one. */
import { expect, onTestFinished, test } from 'vitest'
import { type Browser, createBrowser } from '../../test/support/browser.ts'
import { startRedis } from '../../test/support/redis.ts'
import { APP, AUTH, ENGINEERING, startDeployment } from './deployment.ts'
import { copyOf, openSocket, signOut } from './people.ts'
import type { Program } from './program.ts'

const PROXY = {
  services: 'proxy',
  idp_client_secret: undefined,
  idp_service_account: undefined,
  directory: { sources: ['okta'] },
}

test('people go on working while the sign-in service is away, and what ends at one proxy ends at the other', async () => {
  const redis = await startRedis()
  const deployment = await startDeployment({
    storage: () => ({ type: 'redis', url: `redis://127.0.0.1:${redis.port}` }),
    config: { directory: { okta: { log_interval: '1s' } } },
    configOf: (place) => (place === 0 ? { services: 'authenticate' } : PROXY),
  })
  onTestFinished(async () => {
    await deployment.close()
    await redis.close()
  })
  let [signIn] = deployment.replicas as readonly [Program]
  const [, one, other] = deployment.replicas as readonly [Program, Program, Program]
  const at = (proxy: Program): Browser =>
    createBrowser((host) => (host === new URL(AUTH).hostname ? signIn.port : proxy.port))
  const alice = at(one)
  expect((await deployment.signIn(alice, 'alice@example.com', `${ENGINEERING}/`)).status).toBe(200)
  expect((await alice.go(`${APP}/`)).status).toBe(200)
  const elsewhere = copyOf(alice, at(other))
  expect((await elsewhere.ask(`${ENGINEERING}/`)).status).toBe(200)
  await signIn.kill()
  deployment.okta.clearCalls()
  expect((await alice.ask(`${ENGINEERING}/`)).status).toBe(200)
  expect((await elsewhere.ask(`${ENGINEERING}/`)).status).toBe(200)
  const { closed } = await openSocket(other, elsewhere)
  const begin = performance.now()
  await signOut(alice)
  expect((await closed) - begin).toBeLessThan(1000)
  expect((await elsewhere.ask(`${ENGINEERING}/`, { headers: { accept: 'application/json' } })).status).toBe(401)
  expect(deployment.okta.calls().filter(({ path }) => path.startsWith('/api/v1/'))).toEqual([])

  signIn = await deployment.replace(signIn)
  const bob = at(other)
  expect((await deployment.signIn(bob, 'bob@example.com', `${APP}/`)).status).toBe(200)
  deployment.okta.addMember('Engineering', 'bob@example.com')
  await expect.poll(async () => (await bob.go(`${ENGINEERING}/`)).status).toBe(200)
})
