/**
 * What systemd is told of this process (sd_notify(3)). Node has no datagrams of Unix, and packages for them are native:
 * `systemd-notify`, which comes with systemd, sends them, at the few moments there are and as often as the watchdog asks.
 */
import { execFile } from 'node:child_process'
import { messageOf } from '../../src/errors.ts'
import { every } from '../../src/lib/clock.ts'
import type { Clock, Logger, Span } from '../../src/types.ts'

export interface ServiceManager {
  /** Serves. Again after a reload. */
  ready(status: string): void
  reloading(): void
  /** Ends. Resolves when that has been said. */
  stopping(): Promise<void>
}

/** Sends one notification of these assignments. */
type Notify = (assignments: readonly string[]) => Promise<void>

/** A service manager that does not take one is waited for so long. */
const PATIENCE: Span = 5000

/**
 * Nobody, where `NOTIFY_SOCKET` is not set.
 * @param serves asked before the watchdog is told that all is well. A standing event loop tells it nothing.
 */
export function createServiceManager(deps: {
  /** Default: the environment of the process. */
  readonly env?: Readonly<Record<string, string | undefined>>
  readonly serves: () => boolean
  readonly clock: Clock
  readonly logger: Pick<Logger, 'warn'>
  readonly notify?: Notify
}): ServiceManager {
  const { env = process.env, serves, clock, logger, notify = systemdNotify } = deps
  if (!env['NOTIFY_SOCKET']) return { ready() {}, reloading() {}, stopping: async () => {} }
  let said: Promise<void> = Promise.resolve()
  let unsaid = 0
  let warned = false
  /** One after the other: what was said first arrives first. */
  const say = (...assignments: readonly string[]): Promise<void> => {
    unsaid++
    said = said
      .then(() => notify(assignments))
      .catch((error: unknown) => {
        if (!warned) logger.warn({ cause: messageOf(error) }, 'the service manager cannot be notified')
        warned = true
      })
      .then(() => void unsaid--)
    return said
  }
  const interval = watchdogInterval(env)
  // One that waits still says the same, and the end would wait for all of them.
  const feedWatchdog = (): void => {
    if (unsaid === 0 && serves()) void say('WATCHDOG=1')
  }
  const stopWatchdog = interval === undefined ? () => {} : every(clock, interval, feedWatchdog)

  return {
    ready: (status) => void say('READY=1', `STATUS=${oneLine(status)}`),
    // For Type=notify-reload the instant is required.
    reloading: () => void say('RELOADING=1', `MONOTONIC_USEC=${process.hrtime.bigint() / 1000n}`),
    stopping() {
      stopWatchdog()
      return say('STOPPING=1')
    },
  }
}

/** Half of the time after which systemd ends us; undefined: it does not. */
function watchdogInterval(env: Readonly<Record<string, string | undefined>>): Span | undefined {
  const { WATCHDOG_USEC: limit, WATCHDOG_PID: pid } = env
  if (!limit || !/^[1-9]\d*$/.test(limit) || (pid && Number(pid) !== process.pid)) return undefined
  return Number(limit) / 2000
}

function oneLine(text: string): string {
  return text.replaceAll(/[\r\n]+/g, ' ')
}

function systemdNotify(assignments: readonly string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    execFile('systemd-notify', ['--', ...assignments], { timeout: PATIENCE }, (error) =>
      error ? reject(error) : resolve(),
    )
  })
}
