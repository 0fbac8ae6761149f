import { expect, test } from 'vitest'
import { createServiceManager } from '../../../cmd/postern/service-manager.ts'
import { silentLogger } from '../../../src/lib/log.ts'
import { manualClock } from '../../support/clock.ts'

function world(env: Readonly<Record<string, string>>, notify?: () => Promise<void>) {
  const clock = manualClock()
  const said: string[] = []
  const warnings: string[] = []
  let serves = true
  const manager = createServiceManager({
    env,
    serves: () => serves,
    clock,
    logger: { ...silentLogger, warn: (_fields, message) => void warnings.push(message) },
    async notify(assignments) {
      said.push(assignments.join(' ').replace(/=\d{6,}/, '=…'))
      await notify?.()
    },
  })
  return { clock, manager, said, warnings, setServes: (value: boolean) => void (serves = value) }
}
const NOTIFY_SOCKET = '/run/systemd/notify'

test('without NOTIFY_SOCKET nobody is told', async () => {
  const { clock, manager, said } = world({ WATCHDOG_USEC: '1000000' })
  manager.ready('listening')
  manager.reloading()
  await clock.advanceAsync(5000)
  await manager.stopping()
  expect(said).toEqual([])
})

test('start, reload and end are told in their order', async () => {
  const { manager, said } = world({ NOTIFY_SOCKET })
  manager.ready('listening on\n:443')
  manager.reloading()
  manager.ready('listening on :443')
  await manager.stopping()
  expect(said).toEqual([
    'READY=1 STATUS=listening on :443',
    'RELOADING=1 MONOTONIC_USEC=…',
    'READY=1 STATUS=listening on :443',
    'STOPPING=1',
  ])
})

test('the watchdog hears twice in its time, as long as Postern serves, and no more once it stops', async () => {
  const { clock, manager, said, setServes } = world({ NOTIFY_SOCKET, WATCHDOG_USEC: '30000000' })
  await clock.advanceAsync(60_000)
  expect(said).toEqual(Array.from({ length: 4 }, () => 'WATCHDOG=1'))
  setServes(false)
  await clock.advanceAsync(60_000)
  expect(said).toHaveLength(4)
  setServes(true)
  await manager.stopping()
  await clock.advanceAsync(60_000)
  expect(said.slice(4)).toEqual(['STOPPING=1'])
})

test('a service manager that is slow is told one thing after the other, and the end does not wait for what is behind it', async () => {
  let take: () => void = () => {}
  const { clock, manager, said } = world(
    { NOTIFY_SOCKET, WATCHDOG_USEC: '2000000' },
    () => new Promise((resolve) => (take = resolve)),
  )
  await clock.advanceAsync(60_000)
  expect(said).toEqual(['WATCHDOG=1'])
  const stopped = manager.stopping()
  take()
  await clock.advanceAsync(0)
  expect(said).toEqual(['WATCHDOG=1', 'STOPPING=1'])
  take()
  await stopped
})

test.each([
  ['of another process', { WATCHDOG_USEC: '1000000', WATCHDOG_PID: '1' }],
  ['of no time', { WATCHDOG_USEC: '0' }],
  ['of nonsense', { WATCHDOG_USEC: 'soon' }],
])('a watchdog %s hears nothing', async (_, env) => {
  const { clock, said } = world({ NOTIFY_SOCKET, ...env })
  await clock.advanceAsync(60_000)
  expect(said).toEqual([])
})

test('a service manager that cannot be told is named once, and nothing else changes', async () => {
  const { manager, said, warnings } = world({ NOTIFY_SOCKET }, () => Promise.reject(new Error('spawn ENOENT')))
  manager.ready('listening')
  manager.reloading()
  await manager.stopping()
  expect(said).toHaveLength(3)
  expect(warnings).toEqual(['the service manager cannot be notified'])
})
