#include "tapir/world/step_thread.hpp"

#include <utility>

namespace tapir::world {

StepThread::StepThread(const Clock& clock, Step step)
    : step_(std::move(step)), waiter_(clock), thread_([this] {
          while (!stopping_) {
              waiter_.wait_for(step_());
          }
      }) {}

StepThread::~StepThread() {
    stop();
}

void StepThread::notify() {
    waiter_.notify();
}

void StepThread::stop() {
    stopping_ = true;
    waiter_.notify();
    if (thread_.joinable()) {
        thread_.join();
    }
}

}  // namespace tapir::world
