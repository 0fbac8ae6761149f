/** How the demo begins and ends: one command, one Ctrl-C, nothing left. Needs no browser. */
import { readFileSync } from 'node:fs'
import { request } from 'node:http'
import { connect } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { type Browser, createBrowser } from '../../test/support/browser.ts'
import { type Demo, freePort, type Program, runDemo, startDemo } from './demo.ts'

const running: Program[] = []
afterEach(async () => {
  await Promise.all(running.splice(0).map((program) => program.close()))
})

async function started(): Promise<Demo> {
  const demo = await startDemo()
  running.push(demo)
  return demo
}

function run(...args: readonly string[]): Program {
  const program = runDemo(args)
  running.push(program)
  return program
}

const listens = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false))
    socket.once('connect', () => socket.destroy())
  })

/** A cookie for the application, by way of the emulator's form. */
async function signIn(browser: Browser, demo: Demo): Promise<string> {
  const form = await browser.go(demo.everyone)
  const posted = await browser.ask(form.url, {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded', accept: 'text/html' },
    body: 'identifier=dave@example.com',
  })
  const { status } = await browser.go(new URL(posted.headers.location ?? '', posted.url))
  expect(status).toBe(200)
  return browser.cookies.get('everyone.localhost')?.get('postern') ?? ''
}

/** Resolves with what ends the stream, once its first event has come. */
function openStream(demo: Demo, cookie: string): Promise<{ readonly closed: Promise<void> }> {
  return new Promise((resolve, reject) => {
    const headers = { host: new URL(demo.everyone).host, cookie: `postern=${cookie}`, accept: 'text/event-stream' }
    const asked = request({ host: '127.0.0.1', port: demo.port, path: '/sse', headers }, (response) => {
      const closed = new Promise<void>((done) => response.once('close', () => done()).once('error', () => done()))
      response.once('data', () => resolve({ closed }))
    })
    asked.once('error', reject)
    asked.end()
  })
}

describe('the demo', () => {
  test('prints the address, the accounts and what to try', async () => {
    const demo = await started()
    const said = demo.output()
    for (const url of [demo.engineering, demo.everyone, demo.okta]) expect(said).toContain(`    ${url}`)
    for (const person of ['alice (Engineering)', 'bob (Sales)', 'carol (suspended)', 'dave (no group)'])
      expect(said).toContain(person)
    expect(said).toContain('Try: sign in as alice')
  })

  test.each([
    ['a terminal, which interrupts every process', 'all'],
    ['something that interrupts the first process alone', 'first'],
  ] as const)('ends with Ctrl-C from %s, and leaves no process behind', async (_who, to) => {
    const demo = await started()
    const ports = [demo.port, Number(new URL(demo.okta).port)]
    for (const port of ports) expect(await listens(port)).toBe(true)
    demo.interrupt(to)
    expect(await demo.ended).toBe(0)
    expect(demo.alive()).toBe(false)
    for (const port of ports) expect(await listens(port)).toBe(false)
  })

  test('ends with `npm start` when npm passes on a signal to the shell of the script', async () => {
    const { start } = (JSON.parse(readFileSync('package.json', 'utf8')) as { scripts: { start: string } }).scripts
    expect(start).toMatch(/^npm run -s build && /)
    const port = await freePort()
    const ports = ['--port', String(port), '--okta-port', '0', '--engineering-port', '0', '--everyone-port', '0']
    const script = runDemo(ports, ['sh', '-c', `${start.replace('npm run -s build', 'true')} "$@"`, 'sh'])
    running.push(script)
    await expect.poll(() => listens(port), { timeout: 30_000 }).toBe(true)
    process.kill(script.pid, 'SIGTERM')
    await script.ended
    expect(script.alive()).toBe(false)
    expect(await listens(port)).toBe(false)
  })

  test('ends within seconds although a stream is open', async () => {
    const demo = await started()
    const { closed } = await openStream(demo, await signIn(createBrowser(), demo))
    demo.interrupt()
    await closed
    expect(await demo.ended).toBe(0)
    expect(demo.alive()).toBe(false)
  })

  test('ends when Postern ends', async () => {
    const ports = ['--port', String(await freePort()), '--okta-port', '0']
    const demo = run(...ports, '--engineering-port', '0', '--everyone-port', '0', '--refresh-interval', 'often')
    expect(await demo.ended).toBe(1)
    expect(demo.output()).toContain('directory.refresh_interval')
    expect(demo.alive()).toBe(false)
  })

  test('names a port that is in use, and how to choose another', async () => {
    const first = await started()
    const second = run('--okta-port', new URL(first.okta).port)
    expect(await second.ended).toBe(1)
    expect(second.output()).toContain(`port ${new URL(first.okta).port} is taken: does another demo run here?`)
    expect(second.output()).toContain('npm start -- [--port 8080] [--okta-port 9001]')
    expect(second.alive()).toBe(false)
  })

  test('prints its options when it is asked for them', async () => {
    const demo = runDemo(['--help'])
    expect(await demo.ended).toBe(0)
    expect(demo.output()).toMatch(/^npm start -- \[--port 8080\]/)
  })

  test.each([
    [['--prot', '8090'], "Unknown option '--prot'"],
    [['--port', 'http'], '--port: expected a port, found "http"'],
  ])('refuses %j with the usage', async (args, message) => {
    const demo = run(...args)
    expect(await demo.ended).toBe(1)
    expect(demo.output()).toContain(message)
    expect(demo.output()).toContain('npm start --')
    expect(demo.alive()).toBe(false)
  })
})
