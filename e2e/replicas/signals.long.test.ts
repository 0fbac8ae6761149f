/** What Okta tells the sign-in service counts at the proxies: sessions end there within a second, and so do their tunnels. */
import { expect, onTestFinished, test } from 'vitest'
import { DEMO } from '../../emulator/okta/demo-seed.ts'
import { type Browser, createBrowser } from '../../test/support/browser.ts'
import { startRedis } from '../../test/support/redis.ts'
import { APP, AUTH, startDeployment } from './deployment.ts'
import { copyOf, openSocket } from './people.ts'
import type { Program } from './program.ts'

const STREAM = 'Bearer the-secret-of-the-stream'
const PROXY = {
  services: 'proxy',
  idp_client_secret: undefined,
  idp_service_account: undefined,
  directory: { sources: ['okta'] },
}

test.each(['universal logout', 'shared signals'])('by %s', async (how) => {
  const redis = await startRedis()
  const deployment = await startDeployment({
    storage: () => ({ type: 'redis', url: `redis://127.0.0.1:${redis.port}` }),
    configOf: (place) =>
      place === 0 ? { services: 'authenticate', shared_signals: { authorization: STREAM, audience: AUTH } } : PROXY,
  })
  onTestFinished(async () => {
    await deployment.close()
    await redis.close()
  })
  const { okta } = deployment
  const [signIn, one, other] = deployment.replicas as readonly [Program, Program, Program]
  okta.routeOutbound(AUTH, { host: '127.0.0.1', port: signIn.port })
  const at = (proxy: Program): Browser =>
    createBrowser((host) => (host === new URL(AUTH).hostname ? signIn.port : proxy.port))
  const alice = at(one)
  expect((await deployment.signIn(alice, 'alice@example.com', `${APP}/`)).status).toBe(200)
  const elsewhere = copyOf(alice, at(other))
  const { closed } = await openSocket(other, elsewhere)
  const bob = at(other)
  expect((await deployment.signIn(bob, 'bob@example.com', `${APP}/`)).status).toBe(200)

  const person = okta.org.people.get(DEMO.people.alice)
  if (!person) throw new Error('no alice')
  const begin = performance.now()
  if (how === 'universal logout') {
    const to = { endpoint: `${AUTH}/.postern/universal_logout`, clientId: DEMO.clientId, format: 'email' } as const
    expect(await okta.signals.universalLogout(person, to)).toBe(204)
  } else {
    okta.signals.stream({ endpoint: `${AUTH}/.postern/ssf`, audience: AUTH, authorization: STREAM })
    okta.org.note('user.session.end', person.id)
    await okta.signals.settle()
    expect(okta.signals.answers()).toEqual([202])
  }
  expect((await closed) - begin).toBeLessThan(1000)
  const script = { headers: { accept: 'application/json' } }
  expect((await alice.ask(`${APP}/`, script)).status).toBe(401)
  expect((await elsewhere.ask(`${APP}/`, script)).status).toBe(401)
  expect((await bob.ask(`${APP}/`, script)).status).toBe(200)
})
