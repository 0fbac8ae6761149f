/** A network between processes of this machine that can be cut, as between machines: a namespace, and a link for each side. Tests only. */
import { execFileSync } from 'node:child_process'

export interface Network {
  /** Words before a program that shall run at the far end. */
  readonly within: readonly string[]
  /** Under which the far end is reached over each link. */
  readonly hosts: readonly string[]
  /** Nothing passes any more, and nobody is told. */
  cut(link: number): void
  heal(link: number): void
  close(): void
}

/** Documentation addresses (RFC 5737), which nobody else uses. */
const PREFIX = '198.51.100'

function ip(...args: readonly string[]): void {
  execFileSync('ip', args, { stdio: 'pipe' })
}

/** Whether this process may make such networks: as root of Linux, with iproute2. */
export const hasNetworks = (() => {
  const probe = `probe${process.pid}`
  try {
    ip('netns', 'add', probe)
    ip('netns', 'delete', probe)
    return true
  } catch {
    return false
  }
})()

let made = 0

/** As many links as there are ends on our side. */
export function createNetwork(links: number): Network {
  const name = `pn${process.pid}-${made++}`
  const near = (link: number): string => `v${process.pid}n${link}`
  const far = (link: number): string => `v${process.pid}f${link}`
  const address = (link: number, end: 1 | 2): string => `${PREFIX}.${link * 4 + end}`
  const inside = (...args: readonly string[]): void => ip('-netns', name, ...args)
  const all = Array.from({ length: links }, (_, link) => link)
  ip('netns', 'add', name)
  try {
    inside('link', 'set', 'lo', 'up')
    for (const link of all) {
      ip('link', 'add', near(link), 'type', 'veth', 'peer', 'name', far(link), 'netns', name)
      ip('address', 'add', `${address(link, 1)}/30`, 'dev', near(link))
      inside('address', 'add', `${address(link, 2)}/30`, 'dev', far(link))
      ip('link', 'set', near(link), 'up')
      inside('link', 'set', far(link), 'up')
    }
  } catch (error) {
    ip('netns', 'delete', name)
    throw error
  }
  return {
    within: ['ip', 'netns', 'exec', name],
    hosts: all.map((link) => address(link, 2)),
    cut: (link) => inside('link', 'set', far(link), 'down'),
    heal: (link) => inside('link', 'set', far(link), 'up'),
    // The links go with it.
    close: () => ip('netns', 'delete', name),
  }
}
