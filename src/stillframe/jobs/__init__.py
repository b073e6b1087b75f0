"""The life of a job: survey, render, finish; retry, cancel; the queue."""
