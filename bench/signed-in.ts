import { Agent } from 'node:http'
import { Agent as SecureAgent } from 'node:https'
import { createBrowser } from '../test/support/browser.ts'

/** Signs `login` in at the emulator, from each application's address, and gives the cookies that each host then has. */
export async function signIn(
  applications: readonly URL[],
  oktaUrl: string,
  login: string,
  ca?: string,
): Promise<Map<URL, string>> {
  // One connection to each origin, as browsers have.
  const agents = new Map<string, Agent>()
  const agentOf = (origin: string): Agent => {
    const Kind = origin.startsWith('https:') ? SecureAgent : Agent
    const agent = agents.get(origin) ?? new Kind({ keepAlive: true, maxSockets: 1 })
    agents.set(origin, agent)
    return agent
  }
  const browser = createBrowser(undefined, ca, agentOf)
  const cookies = new Map<URL, string>()
  for (const application of applications) {
    const form = await browser.go(application)
    let landed = form
    if (form.url.origin === oktaUrl) {
      const action = /<form[^>]*action="([^"]+)"/.exec(form.body)?.[1]
      const hidden = [...form.body.matchAll(/<input[^>]*type="hidden"[^>]*name="([^"]+)"[^>]*value="([^"]*)"/g)]
      const posted = await browser.ask(new URL(unescape(action ?? form.url.href), form.url), {
        method: 'POST',
        headers: {
          'content-type': 'application/x-www-form-urlencoded',
          accept: 'text/html',
          'sec-fetch-mode': 'navigate',
        },
        body: new URLSearchParams([
          ...hidden.map(([, name = '', value = '']): [string, string] => [name, unescape(value)]),
          ['identifier', login],
        ]).toString(),
      })
      landed = await browser.go(new URL(posted.headers.location ?? '', posted.url))
    }
    // On a busy machine a call to the provider may time out. Whether somebody is let in is for the caller to see.
    if (landed.url.host !== application.host || landed.status >= 500) {
      throw new Error(
        `${login} could not sign in: ${landed.status} at ${landed.url.href}: ${landed.body.slice(0, 200)}`,
      )
    }
    const held = [...(browser.cookies.get(application.hostname) ?? [])].map((pair) => pair.join('='))
    cookies.set(application, held.join('; '))
  }
  for (const agent of agents.values()) agent.destroy()
  return cookies
}

function unescape(text: string): string {
  return text.replaceAll('&quot;', '"').replaceAll('&#39;', "'").replaceAll('&amp;', '&')
}
