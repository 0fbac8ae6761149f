/** What Postern answers to whoever asks for an address: one look for each key that shows there. */
import { APP, AUTH, type Running } from './reload-world.ts'

/** Status of a preflight. */
/** What a browser that runs scripts gets while nobody is signed in. */
export async function begunBy({ browser }: Running): Promise<unknown> {
  const headers = { accept: 'text/html', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' }
  return (await browser().ask(`${APP}/x`, { headers })).status
}

/** Our page for an address that no application has; its request number and time are of that one time. */
export async function nowhere({ browser }: Running): Promise<unknown> {
  const { body } = await browser().ask('http://nowhere.localhost/')
  return body.replace(/request%20[\w-]+/, '').replace(/Request <code>.*/, '')
}

/** What a sign-in comes to. */
export async function signInStatus(running: Running): Promise<unknown> {
  return (await running.signIn(running.browser(), `${APP}/x`)).status
}

/** What a sign-in comes to where groups count. */
export async function teamStatus(running: Running): Promise<unknown> {
  return (await running.signIn(running.browser(), 'http://team.localhost/')).status
}

/** What our own address answers to whoever shows this: is it refused? */
export function controlStatus(path: string, authorization: string): (running: Running) => Promise<unknown> {
  return async (running) => {
    const { status, body } = await running.browser().ask(AUTH + path, {
      method: path.includes('/scim/') ? 'GET' : 'POST',
      headers: {
        authorization,
        'content-type': path.endsWith('/ssf') ? 'application/secevent+jwt' : 'application/json',
        accept: 'application/json',
      },
      ...(path.includes('/scim/') ? {} : { body: '{}' }),
    })
    return [status, /"err": *"(\w+)"/.exec(body)?.[1]]
  }
}

/** What somebody who may not open the application is told. */
export async function refusedPage(running: Running): Promise<unknown> {
  const { body } = await running.signIn(running.browser(), `${APP}/x`)
  return /<h2>Why<\/h2>.*?<\/section>/.exec(body)?.[0]
}

export async function preflight(running: Running): Promise<unknown> {
  const headers = { origin: 'https://partner.corp.example', 'access-control-request-method': 'PUT' }
  return (await running.browser().ask(`${APP}/x`, { method: 'OPTIONS', headers })).status
}

/** Groups that are as old as the sign-in: are they still believed after ten seconds? */
export async function oldGroups(running: Running): Promise<unknown> {
  const browser = running.browser()
  await running.signIn(browser, `${APP}/x`)
  await running.clock.advanceAsync(10_000)
  return (await browser.ask(`${APP}/x`, { headers: { accept: 'application/json' } })).status
}

/** Asked three minutes after a sign-in. */
export async function oldSignIn(running: Running): Promise<unknown> {
  const browser = running.browser()
  await running.signIn(browser, `${APP}/x`)
  await running.clock.advanceAsync(180_000)
  return (await browser.ask(`${APP}/x`, { headers: { accept: 'application/json' } })).status
}

/** Is a session open after a quarter of an hour in which nobody used it? */
export async function idleEnd({ browser: open, signIn: sign, clock }: Running): Promise<unknown> {
  const browser = open()
  await sign(browser, `${APP}/`)
  clock.advance(15 * 60_000)
  return (await browser.ask(`${APP}/`, { headers: { accept: 'application/json' } })).status
}

/** What the first application hears of somebody who is signed in. */
export async function told({ browser: open, signIn: sign }: Running): Promise<unknown> {
  const browser = open()
  await sign(browser, `${APP}/.postern/`)
  const { headers } = JSON.parse((await browser.ask(`${APP}/`)).body) as { headers: Record<string, string> }
  const payload = Buffer.from(headers['x-postern-jwt-assertion']?.split('.')[1] ?? '', 'base64url').toString()
  const { iss, groups } = JSON.parse(payload || '{}') as { iss?: string; groups?: unknown }
  return [headers['x-postern-claim-email'], headers['x-postern-claim-groups'], headers['authorization'], iss, groups]
}

/** May another site frame the first application? */
export async function framing({ browser: open, signIn: sign }: Running): Promise<unknown> {
  const { headers } = await sign(open(), `${APP}/`)
  return headers['x-frame-options']
}

/** What the shadow policy of the first application says of somebody who is signed in. */
export async function shadowDecision({ browser: open, signIn: sign, lines }: Running): Promise<unknown> {
  lines()
  await sign(open(), `${APP}/`)
  return lines().flatMap(({ shadow_decision: shadow }) => shadow ?? [])
}

/** What a program without a credential is asked for. */
export async function challengeOf(running: Running): Promise<unknown> {
  const { headers } = await running.browser().ask(`${APP}/`, { headers: { accept: '*/*' } })
  return headers['www-authenticate']
}

/** What the portal lists for somebody who is signed in. */
export async function listed({ browser: open, signIn: sign }: Running): Promise<unknown> {
  const browser = open()
  await sign(browser, `${APP}/.postern/account`)
  const { body } = await browser.ask(`${APP}/.postern/api/v1/routes`, { headers: { accept: 'application/json' } })
  return (JSON.parse(body) as { routes: readonly object[] }).routes
}

/** What the status page answers somebody who is signed in. */
export async function seesStatus({ browser: open, signIn: sign }: Running): Promise<unknown> {
  const browser = open()
  await sign(browser, `${APP}/`)
  return (await browser.ask(`${AUTH}/.postern/api/v1/status`, { headers: { accept: 'application/json' } })).status
}
