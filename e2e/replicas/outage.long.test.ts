/** Three replicas whose Redis stands still, and comes back empty: who gets in meanwhile, and what mends itself afterwards. */
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import type { Browser } from '../../test/support/browser.ts'
import { startRedis } from '../../test/support/redis.ts'
import { APP, ENGINEERING, startDeployment } from './deployment.ts'
import { copyOf, openSocket, signOut } from './people.ts'
import type { Program } from './program.ts'

const GRACE = 3000
/** Of a machine that has much to do. */
const SLACK = 1500

test('Redis stands still, then comes back empty: nobody loops, nobody put out gets in, and all goes on by itself', async () => {
  const redis = await startRedis()
  const deployment = await startDeployment({
    storage: () => ({ type: 'redis', url: `redis://127.0.0.1:${redis.port}` }),
    config: { store_grace: `${GRACE}ms`, directory: { okta: { log_interval: '1s' } } },
  })
  onTestFinished(async () => {
    await deployment.close()
    await redis.close()
  })
  const alice = deployment.browser()
  const bob = deployment.browser()
  expect((await deployment.signIn(alice, 'alice@example.com', `${ENGINEERING}/`)).status).toBe(200)
  expect((await alice.go(`${APP}/`)).status).toBe(200)
  expect((await deployment.signIn(bob, 'bob@example.com')).status).toBe(200)
  const thief = copyOf(bob, deployment.browser())
  await signOut(bob)
  const at = (browser: Browser): readonly Browser[] =>
    deployment.replicas.map((replica) => copyOf(browser, deployment.browser(replica)))
  const statuses = (browsers: readonly Browser[], url = `${APP}/`): Promise<readonly number[]> =>
    Promise.all(browsers.map(async (browser) => (await browser.ask(url)).status))
  const everywhere = at(alice)
  const thieves = at(thief)
  expect(await statuses(everywhere)).toEqual([200, 200, 200])

  redis.pause()
  const pausedAt = performance.now()
  let lastLetIn = pausedAt
  const [seen, seenByThieves] = [new Set<number>(), new Set<number>()]
  while (performance.now() < pausedAt + GRACE + 2 * SLACK) {
    const askedAt = performance.now()
    const answers = await statuses(everywhere)
    if (answers.includes(200)) lastLetIn = askedAt
    for (const each of answers) seen.add(each)
    for (const each of await statuses(thieves)) seenByThieves.add(each)
    await sleep(100)
  }
  expect(seen).toEqual(new Set([200, 503]))
  expect(lastLetIn - pausedAt).toBeLessThan(GRACE + SLACK)
  expect(seenByThieves).not.toContain(200)
  redis.resume()
  await expect.poll(() => statuses(everywhere)).toEqual([200, 200, 200])
  expect(new Set(await statuses(thieves))).toEqual(new Set([302]))

  const [first] = deployment.replicas as readonly [Program]
  const { closed } = await openSocket(first, alice)
  await redis.kill()
  await redis.start()
  // Her session went with Redis: she is sent to the sign-in, once.
  await expect.poll(() => statuses(everywhere)).toEqual([302, 302, 302])
  await closed
  expect(new Set(await statuses(thieves))).toEqual(new Set([302]))
  const again = deployment.browser()
  expect((await deployment.signIn(again, 'alice@example.com', `${ENGINEERING}/`)).status).toBe(200)
  await expect.poll(() => statuses(at(again), `${ENGINEERING}/`)).toEqual([200, 200, 200])
  // One of them follows Okta again.
  deployment.okta.removeMember('Engineering', 'alice@example.com')
  await expect.poll(() => statuses(at(again), `${ENGINEERING}/`)).toEqual([403, 403, 403])
})
