/** Three replicas of the compiled program over one store, behind a balancer: what an operator does to them, and what people notice. */
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import type { Browser } from '../../test/support/browser.ts'
import { chromiumPath, inChromium, launchChromium, newVisitor } from '../browser/chromium.ts'
import { APP, AUTH, type Deployment, ENGINEERING, startDeployment } from './deployment.ts'
import { startLoad } from './load.ts'
import { copyOf, cookieOf, openSocket, signOut } from './people.ts'
import type { Program } from './program.ts'
import { SHARED_STORES, type SharedStore } from './stores.ts'

const AS_JSON = { headers: { accept: 'application/json' } }

describe.each(SHARED_STORES)('three replicas on $name', ({ open }) => {
  let store: SharedStore
  let deployment: Deployment
  beforeAll(async () => {
    store = await open()
    deployment = await startDeployment(store)
  })
  afterAll(async () => {
    await deployment.close()
    await store.close()
  })

  /** Signed in through the balancer: each step may be another replica's. */
  async function signedIn(login = 'alice@example.com'): Promise<Browser> {
    const browser = deployment.browser()
    expect((await deployment.signIn(browser, login)).status).toBe(200)
    return browser
  }

  const status = async (browser: Browser, url = `${APP}/`): Promise<number> => (await browser.ask(url, AS_JSON)).status

  const at = (replica: Program, browser: Browser): Browser => copyOf(browser, deployment.browser(replica))

  function load(browser: Browser) {
    return startLoad({
      port: deployment.balancer.port,
      host: 'app.localhost',
      cookie: cookieOf(browser, APP),
    })
  }

  test('somebody is signed in at all of them, and what one of them ends is over at all of them', async () => {
    const browser = await signedIn()
    for (const replica of deployment.replicas) expect(await status(at(replica, browser))).toBe(200)

    const [first, second] = deployment.replicas as readonly [Program, Program]
    const { closed } = await openSocket(second, browser)
    const thief = copyOf(browser, deployment.browser())
    const begin = performance.now()
    await signOut(at(first, browser))
    expect((await closed) - begin).toBeLessThan(1000)
    for (const replica of deployment.replicas) expect(await status(at(replica, thief))).toBe(401)
    expect(performance.now() - begin).toBeLessThan(1000)
  })

  test('one after the other is killed under load: nobody is signed out, and who was put out stays out', async () => {
    const alice = await signedIn()
    const bob = await signedIn('bob@example.com')
    const thief = copyOf(bob, deployment.browser())
    await signOut(bob)
    for (const victim of deployment.replicas) {
      const busy = load(alice)
      await victim.kill()
      await deployment.untilReady(2)
      for (let round = 0; round < 5; round++) expect(await status(alice)).toBe(200)
      // Whoever read Okta may be the one that was killed: a sign-in waits for the next.
      const login = `of-${victim.pid}@example.com`
      deployment.okta.addMember('Engineering', deployment.okta.addUser({ login }).id)
      expect((await deployment.signIn(deployment.browser(), login, `${ENGINEERING}/`)).status).toBe(200)
      const next = await deployment.replace(victim)
      await deployment.untilReady(3)
      expect(await status(at(next, alice))).toBe(200)
      expect(await status(at(next, thief))).toBe(401)
      await busy.stop()
      // Requests that were under way are lost with the process; none is refused.
      expect([...busy.answered().keys()]).toEqual([200])
    }
  })

  test('a rolling restart under load loses no request', async () => {
    const alice = await signedIn()
    const busy = load(alice)
    for (const old of deployment.replicas) {
      const ended = old.stop()
      await deployment.untilReady(2)
      expect(await ended).toBe(0)
      await deployment.replace(old)
      await deployment.untilReady(3)
    }
    expect(await busy.stop()).toEqual([])
    expect([...busy.answered().keys()]).toEqual([200])
    expect(busy.answered().get(200)).toBeGreaterThan(100)
    expect(await status(alice)).toBe(200)
  })

  test('one with another shared secret refuses to join, and says so', async () => {
    const shared_secret = Buffer.alloc(32, 'another secret').toString('base64')
    await expect(deployment.extra({ shared_secret })).rejects.toThrow(
      /ended with 3: .*shared_secret differs from the one that wrote this store/s,
    )
    expect(await status(await signedIn())).toBe(200)
  })

  describe.skipIf(chromiumPath === undefined)(inChromium('in a browser'), () => {
    test('twelve tabs sign in once, wherever each request goes', async () => {
      const chromium = await launchChromium()
      onTestFinished(() => chromium.close())
      const bypass = `<-loopback>,${new URL(deployment.okta.url).host}`
      const server = `http://127.0.0.1:${deployment.balancer.port}`
      const visitor = await newVisitor(chromium, { proxy: { server, bypass } })
      await visitor.page.goto(`${APP}/first`)
      await visitor.page.getByRole('button', { name: 'alice' }).first().click()
      expect(await visitor.page.getByRole('heading').textContent()).toBe('GET /first')
      await Promise.all(
        Array.from({ length: 12 }, async (_, tab) => {
          const page = await visitor.context.newPage()
          const origin = tab % 2 ? APP : ENGINEERING
          await page.goto(`${origin}/tab/${tab}`)
          expect(await page.getByRole('heading').textContent()).toBe(`GET /tab/${tab}`)
        }),
      )
      const served = deployment.replicas.filter((replica) =>
        replica.log().some(({ path }) => String(path).startsWith('/tab/')),
      )
      expect(served.length).toBeGreaterThan(1)
      expect(new URL(visitor.page.url()).origin).not.toBe(AUTH)
      expect(visitor.complaints).toEqual([])
    })
  })
})
