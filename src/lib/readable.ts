import { AppError } from '../errors.ts'

/**
 * What the store answers, where a record that cannot be read (damaged, of another version, sealed with a secret that was taken
 * out) is as good as none: a 503 would never mend it. Any other fault is one.
 */
export async function readable<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer
  } catch (error) {
    if (error instanceof AppError && error.code === 'ERR_STORE_CORRUPT') return undefined
    throw error
  }
}
