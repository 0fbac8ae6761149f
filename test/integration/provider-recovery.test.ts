/** A provider that was away and is back: `/readyz?verbose` says so, whether or not anybody signs in. */
import { expect, onTestFinished, test } from 'vitest'
import { demoSeed } from '../../emulator/okta/demo-seed.ts'
import { manualClock } from '../support/clock.ts'
import { createTestWorld } from '../support/world.ts'

test('the component is well again when the provider answers, and a provider that is well is asked nothing', async () => {
  const clock = manualClock()
  let away = true
  const asked: (string | undefined)[] = []
  const world = await createTestWorld({
    clock,
    config: { health_check_addr: '127.0.0.1:0', idp_service_account: undefined },
    okta: {
      seed: demoSeed(),
      clock,
      guard(req, res) {
        asked.push(req.url)
        if (away) res.writeHead(503).end()
        return away
      },
    },
  })
  onTestFinished(() => world.close())
  const status = async (): Promise<string | undefined> => {
    const answer = await fetch(`http://127.0.0.1:${world.app.operations.health?.address.port}/readyz?verbose`)
    const { components } = (await answer.json()) as { components: readonly { name: string; status: string }[] }
    return components.find(({ name }) => name === 'identity-provider')?.status
  }
  await clock.advanceAsync(3_600_000)
  expect([await status(), asked]).toEqual(['ok', []])
  expect((await world.browser().go('http://authenticate.localhost/.postern/sign_in')).status).toBe(503)
  expect(await status()).toBe('degraded')
  const { length } = asked
  clock.advance(5000)
  await expect.poll(() => asked.length).toBe(length + 1)
  expect(await status()).toBe('degraded')
  away = false
  // The answer arms the next question.
  await expect
    .poll(async () => {
      clock.advance(10_000)
      return status()
    })
    .toBe('ok')
  expect(new Set(asked)).toEqual(new Set(['/.well-known/openid-configuration']))
})
