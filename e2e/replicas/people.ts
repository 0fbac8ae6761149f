/** What people and thieves do at replicas. Tests only. */
import { once } from 'node:events'
import { expect, onTestFinished } from 'vitest'
import { WebSocket } from 'ws'
import type { Browser } from '../../test/support/browser.ts'
import { APP } from './deployment.ts'
import type { Program } from './program.ts'

/** Gives the cookies of one browser, as they are now, to another one that has none. */
export function copyOf(browser: Browser, other: Browser): Browser {
  for (const [host, cookies] of browser.cookies)
    (other.cookies as Map<string, Map<string, string>>).set(host, new Map(cookies))
  return other
}

export function cookieOf(browser: Browser, origin: string): string {
  const cookies = browser.cookies.get(new URL(origin).hostname) ?? []
  return [...cookies].map(([name, value]) => `${name}=${value}`).join('; ')
}

/** By the form of our page; the browser forgets its cookie. */
export async function signOut(browser: Browser): Promise<void> {
  const page = await browser.ask(`${APP}/.postern/sign_out`)
  const csrf = /name="csrf" value="([^"]+)"/.exec(page.body)?.[1] ?? ''
  const out = await browser.ask(`${APP}/.postern/sign_out`, {
    method: 'POST',
    headers: { origin: APP, 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams({ csrf }).toString(),
  })
  expect(out.status).toBe(303)
}

/** A WebSocket of somebody through one replica, over which something was said. `closed`: when it ended. */
export async function openSocket(replica: Program, browser: Browser): Promise<{ readonly closed: Promise<number> }> {
  const headers = { host: new URL(APP).host, origin: APP, cookie: cookieOf(browser, APP) }
  const socket = new WebSocket(`ws://127.0.0.1:${replica.port}/`, { headers })
  onTestFinished(() => socket.terminate())
  await once(socket, 'open')
  socket.send('hello')
  expect(String((await once(socket, 'message'))[0])).toBe('hello')
  return { closed: once(socket, 'close').then(() => performance.now()) }
}
