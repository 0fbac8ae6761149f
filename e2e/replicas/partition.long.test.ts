/** Two replicas, one of which loses its way to the store or stands still: what it still lets in, for how long, and how it comes back. */
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, onTestFinished, test } from 'vitest'
import { askRedis, startRedis } from '../../test/support/redis.ts'
import { APP, startDeployment } from './deployment.ts'
import { createNetwork, hasNetworks } from './network.ts'
import { copyOf, openSocket, signOut } from './people.ts'
import type { Program } from './program.ts'

const GRACE = 4000
/** Of a look at the store, and of a machine that has much to do. */
const SLACK = 1500

const suite = hasNetworks
  ? 'a replica without its store'
  : 'a replica without its store (skipped: needs root and `ip netns`)'

describe.skipIf(!hasNetworks)(suite, () => {
  test('believes nobody for longer than store_grace, refuses nobody for good, and comes back by itself', async () => {
    const network = createNetwork(2)
    const redis = await startRedis(['--bind', '0.0.0.0', '--protected-mode', 'no'], undefined, network.within)
    const deployment = await startDeployment({
      count: 2,
      config: { store_grace: `${GRACE}ms` },
      configOf: (place) => ({
        storage: { type: 'redis', url: `redis://${network.hosts[place]}:${redis.port}` },
      }),
    })
    onTestFinished(async () => {
      await deployment.close()
      await redis.close()
      network.close()
    })
    const [whole, lonely] = deployment.replicas as readonly [Program, Program]
    const alice = deployment.browser(whole)
    const bob = deployment.browser(whole)
    expect((await deployment.signIn(alice, 'alice@example.com')).status).toBe(200)
    expect((await deployment.signIn(bob, 'bob@example.com')).status).toBe(200)
    const thief = copyOf(alice, deployment.browser(lonely))
    const bobThere = copyOf(bob, deployment.browser(lonely))
    const status = async (browser: typeof alice): Promise<number> => (await browser.ask(`${APP}/`)).status
    expect([await status(thief), await status(bobThere)]).toEqual([200, 200])
    const sockets = [await openSocket(lonely, alice), await openSocket(lonely, bob)]

    network.cut(1)
    const cutAt = performance.now()
    await signOut(alice)
    // A navigation: never a redirect to a sign-in, which could only go round.
    let lastLetIn = cutAt
    const seen = new Set<number>()
    while (performance.now() < cutAt + GRACE + 2 * SLACK) {
      const [askedAt, answers] = [performance.now(), await Promise.all([status(thief), status(bobThere)])]
      for (const each of answers) seen.add(each)
      if (answers.includes(200)) lastLetIn = askedAt
      await sleep(100)
    }
    expect(lastLetIn - cutAt).toBeLessThan(GRACE + SLACK)
    expect(seen).toEqual(new Set([200, 503]))
    expect([await status(thief), await status(bobThere)]).toEqual([503, 503])
    for (const { closed } of sockets) expect((await closed) - cutAt).toBeLessThan(GRACE + SLACK)
    // Nobody at the other one notices.
    expect(await status(bob)).toBe(200)

    network.heal(1)
    await expect.poll(() => status(bobThere), { timeout: 60_000 }).toBe(200)
    expect((await thief.ask(`${APP}/`, { headers: { accept: 'application/json' } })).status).toBe(401)
    expect((await thief.ask(`${APP}/`)).status).toBe(302)
  })
})

test('a replica that stood still, and missed more than the store remembers, cuts whoever was signed out meanwhile', async () => {
  const redis = await startRedis()
  const storage = { type: 'redis', url: `redis://127.0.0.1:${redis.port}`, prefix: 'gap' }
  const deployment = await startDeployment({ count: 2, storage: () => storage })
  onTestFinished(async () => {
    await deployment.close()
    await redis.close()
  })
  const [awake, asleep] = deployment.replicas as readonly [Program, Program]
  const alice = deployment.browser(awake)
  const bob = deployment.browser(awake)
  expect((await deployment.signIn(alice, 'alice@example.com')).status).toBe(200)
  expect((await deployment.signIn(bob, 'bob@example.com')).status).toBe(200)
  const thief = copyOf(alice, deployment.browser(asleep))
  const bobThere = copyOf(bob, deployment.browser(asleep))
  const { closed } = await openSocket(asleep, alice)
  let bobIsCut = false
  void (await openSocket(asleep, bob)).closed.then(() => (bobIsCut = true))

  process.kill(asleep.pid, 'SIGSTOP')
  // Redis answers a read that waits with the next change; those after it are lost.
  await deployment.signIn(deployment.browser(awake), 'dave@example.com')
  await signOut(alice)
  await askRedis(redis.port, 'XTRIM', '{gap}changes', 'MAXLEN', '0')
  // What comes after the hole shows that there is one.
  await deployment.signIn(deployment.browser(awake), 'dave@example.com')
  process.kill(asleep.pid, 'SIGCONT')
  const wokenAt = performance.now()

  expect((await closed) - wokenAt).toBeLessThan(1000 + SLACK)
  expect((await thief.ask(`${APP}/`, { headers: { accept: 'application/json' } })).status).toBe(401)
  expect((await bobThere.ask(`${APP}/`)).status).toBe(200)
  expect(bobIsCut).toBe(false)
  await expect.poll(() => asleep.log().some(({ msg }) => msg === 'store: changes were missed')).toBe(true)
})
