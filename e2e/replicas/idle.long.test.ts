/** What a Postern costs that nobody uses: the compiled program, its wake-ups counted by the kernel. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Deployment, startDeployment } from './deployment.ts'
import type { Program } from './program.ts'

let deployment: Deployment
let program: Program
beforeAll(async () => {
  // Not behind the balancer, which asks for its health.
  deployment = await startDeployment({ count: 0 })
  program = await deployment.extra({ storage: { type: 'embedded', path: join(deployment.folder, 'store') } })
})
afterAll(async () => {
  await program.kill()
  await deployment.close()
})

/** How often its threads went to sleep: each time something had woken them. */
function sleeps(): number {
  return readdirSync(`/proc/${program.pid}/task`)
    .map((thread) => readFileSync(`/proc/${program.pid}/task/${thread}/status`, 'utf8'))
    .reduce((sum, status) => sum + Number(/^voluntary_ctxt_switches:\s*(\d+)/m.exec(status)?.[1]), 0)
}

test('ten wake-ups a second at the most, with somebody signed in and Okta followed', async () => {
  expect((await deployment.signIn(deployment.browser(program), 'alice@example.com')).status).toBe(200)
  const seconds = 4
  // The first seconds after a sign-in are not idle yet; a wake-up has other causes on a busy machine, too.
  await expect
    .poll(
      async () => {
        const before = sleeps()
        await sleep(seconds * 1000)
        return (sleeps() - before) / seconds
      },
      { timeout: 24_000, interval: 1 },
    )
    .toBeLessThan(10)
})
