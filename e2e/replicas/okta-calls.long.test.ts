/** What Okta is asked in a minute: six processes on one store ask no more than one alone. */
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import { startRedis } from '../../test/support/redis.ts'
import { APP, type Deployment, type DeploymentOptions, ENGINEERING, startDeployment } from './deployment.ts'

const MINUTE = 60_000

async function deploy(count: number, storage: DeploymentOptions['storage']): Promise<Deployment> {
  const deployment = await startDeployment({ count, ...(storage && { storage }) })
  onTestFinished(() => deployment.close())
  return deployment
}

/** Calls of the management API in a minute in which two people come back to every replica again and again. */
async function callsInAMinute(deployment: Deployment): Promise<number> {
  const alice = deployment.browser()
  const bob = deployment.browser()
  await deployment.signIn(alice, 'alice@example.com', `${ENGINEERING}/`)
  await deployment.signIn(bob, 'bob@example.com')
  // What a sign-in causes is over.
  await sleep(15_000)
  deployment.okta.clearCalls()
  const end = performance.now() + MINUTE
  while (performance.now() < end) {
    for (const person of [alice, bob]) expect((await person.go(`${APP}/`)).status).toBe(200)
    await sleep(1000)
  }
  return deployment.okta.calls().filter(({ path }) => path.startsWith('/api/v1/')).length
}

test('three machines with two processes each call Okta as often as one process does', async () => {
  const redis = await startRedis()
  onTestFinished(() => redis.close())
  const [one, six] = await Promise.all([
    deploy(1, (folder) => ({ type: 'embedded', path: `${folder}/store` })).then(callsInAMinute),
    deploy(6, () => ({ type: 'redis', url: `redis://127.0.0.1:${redis.port}` })).then(callsInAMinute),
  ])
  expect(Math.abs(six - one)).toBeLessThanOrEqual(1)
  // Otherwise nothing was measured.
  expect(one).toBeGreaterThan(0)
}, 300_000)
