import { isatty } from 'node:tty'

/** Does whoever looks want colours, and can show them? https://no-color.org */
export function hasColours(descriptor: number): boolean {
  const { NO_COLOR = '', TERM } = process.env
  return isatty(descriptor) && NO_COLOR === '' && TERM !== 'dumb'
}
