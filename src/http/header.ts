import type { RequestHead } from './request.ts'

/** The first value of a header, as it came. `name`: lower case. */
export function headerOf({ rawHeaders }: Pick<RequestHead, 'rawHeaders'>, name: string): string | undefined {
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const known = rawHeaders[i] as string
    if (known.length === name.length && known.toLowerCase() === name) return rawHeaders[i + 1]
  }
  return undefined
}
